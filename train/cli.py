"""From a command line to a config, and from a mistake to one sentence."""

import os
import sys
from collections.abc import Callable

from absl import flags
from ml_collections import config_flags

from data import UserError


def guarded(main: Callable[[], int | None]) -> None:
    """Runs `main` and exits; a UserError is printed on stderr as one line, without a traceback.

    A file that cannot be read or written is the user's to mend as well, and is told the same way.
    """
    try:
        code = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)


def parse_config(argv: list[str], define: Callable[[flags.FlagValues], None]):
    """(config, flags) of a command line with --config FILE.py:presets and --config.field=value.

    Args:
      define: adds the command's own flags.

    Raises:
      UserError: an unknown flag, preset, field or value, or a config file that is not there.
    """
    values = flags.FlagValues()
    holder = config_flags.DEFINE_config_file(
        "config", help_string="configs/NAME.py or configs/NAME.py:preset,preset", lock_config=True, flag_values=values,
        sys_argv=argv,
    )
    define(values)
    if any(a in ("--help", "-h", "-help") for a in argv[1:]):
        print(values.main_module_help() or values.get_help())
        sys.exit(0)
    _check_config_file(argv)
    try:
        rest = values(argv)
    except flags.Error as error:
        raise UserError(_one_line(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(_config_message(error)) from error
    if len(rest) > 1:
        raise UserError(f"{rest[1]!r} is not understood; options begin with --, see --help")
    config = holder.value
    if config is None:
        raise UserError("no config given; say --config configs/NAME.py")
    return config, values


def _check_config_file(argv: list[str]) -> None:
    for flag, following in zip(argv, [*argv[1:], ""], strict=True):
        if flag.lstrip("-") == "config" or flag.lstrip("-").startswith("config="):
            path = (flag.partition("=")[2] or following).partition(":")[0]
            if not os.path.exists(path):
                have = sorted(f"configs/{n}" for n in os.listdir("configs")) if os.path.isdir("configs") else []
                raise UserError(f"config file {path!r} is not there; have: {', '.join(have) or 'none here'}")


def _config_message(error: Exception) -> str:
    text = _one_line(error)
    return f"config: {text}"


def _one_line(error: Exception) -> str:
    """The message alone: a mistake within a config file comes with its whole traceback, whose last line says it."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    if "Traceback" in text:
        text = text.strip().splitlines()[-1].partition(": ")[2]
    return " ".join(text.split())
