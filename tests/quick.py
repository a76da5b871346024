"""XLA flags for programs that run a few times only, so that compiling them is what takes the time."""

from importlib.metadata import version

# The newer emitters compile a third slower; JAX 0.11 has no others, and refuses the flag.
_NEW = tuple(map(int, version("jaxlib").split(".")[:2])) >= (0, 11)
_OLD_EMITTERS = "" if _NEW else " --xla_cpu_use_fusion_emitters=false"

QUICK = f"--xla_backend_optimization_level=0{_OLD_EMITTERS}"
SOME = f"--xla_backend_optimization_level=1{_OLD_EMITTERS}"  # for programs of dozens of steps
