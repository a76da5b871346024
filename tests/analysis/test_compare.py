"""Tables of result files: their numbers, what is bold, what is refused; LaTeX and CSV; the command."""

import csv
import json
import math
import re
from pathlib import Path

import pytest

from analysis import compare
from analysis.comparison.cells import best, decimals, duration, number, short
from analysis.comparison.comparable import describe, group, labels
from analysis.comparison.records import records
from analysis.comparison.result_files import Result, Value, one_a_run, read_results
from analysis.comparison.table_files import latex, latex_text, markdown, show
from analysis.comparison.tables import make_tables
from data import UserError
from tests.analysis.result_set import SPACE, estimate, metrics, result, row, sampled, write, write_families, write_strip


def tables_of(folder, every=False):
    return [table for of in group(read_results([folder])[0]) for table in make_tables(of, every)]


def column(table, title):
    at = [name.split(" ")[0] for name in table.header].index(title)
    return [cells[at] for cells in table.rows]


def test_rows_are_families_in_their_order_above_floor_and_ceiling(tmp_path):
    write_families(tmp_path, ("flow", "ddpm", "gan", "vae"))
    table = tables_of(tmp_path)[0]
    assert [cell.text for cell in column(table, "Run")] == [
        "GAN", "VAE", "DDPM", "Flow", "Floor (real images)", "Ceiling (Gaussian)"
    ]  # fmt: skip
    kid = column(table, "KID")
    assert [cell.text for cell in kid] == ["0.0520", "0.2120", "0.0141", "0.0183", "−0.0001", "0.6100"]
    assert kid[0].interval == "[0.0500, 0.0540]" and kid[4].interval == "[−0.0006, 0.0004]"
    assert [cell.text for cell in column(table, "Parameters")[:4]] == ["4.2 M", "6.1 M", "10.7 M", "10.7 M"]
    assert {cell.text for cell in column(table, "Images")[:4]} == {"24 k"}
    assert all(word in table.caption for word in ("n = 1,000 generated and 1,000 real", SPACE, "ab12cd34", "64x64"))


def test_the_table_without_network_holds_likelihood_sampling_and_device(tmp_path):
    write_families(tmp_path)
    table = tables_of(tmp_path)[1]
    assert [cell.text for cell in column(table, "Bits/dim")] == ["–", "3.610", "2.920", "3.050", "", ""]
    assert [cell.text for cell in column(table, "Likelihood")[:4]] == ["none", "IWAE, k = 100", "ODE", "ODE"]
    assert not any(cell.bold for cell in column(table, "Bits/dim"))  # bounds of two kinds
    assert [cell.text for cell in column(table, "Images/s")[:4]] == ["410", "655", "5.6", "11.4"]
    assert "Sampled on AMD EPYC, 2 cores" in table.caption and "Spectrum (dB) ↓" in table.header


def test_devices_are_named_where_there_are_several(tmp_path):
    write(tmp_path, "gan_cxr", result("gan", device="NVIDIA H100"))
    write(tmp_path, "flow_cxr", result("flow"))
    assert "Flow: AMD EPYC, 2 cores; GAN: NVIDIA H100" in tables_of(tmp_path)[1].caption


def test_best_is_bold_only_where_its_interval_overlaps_no_other(tmp_path):
    write_families(tmp_path)
    kid = column(tables_of(tmp_path)[0], "KID")
    assert [cell.bold for cell in kid] == [False, False, True, False, False, False]
    near = result("flow")
    near["metrics"][SPACE]["kid"]["generated"] = estimate(0.0155, 0.0010)  # from 0.0145; DDPM's reaches 0.0149
    write(tmp_path, "flow_cxr", near)
    assert not any(cell.bold for cell in column(tables_of(tmp_path)[0], "KID"))


def test_the_rule_of_best():
    a, b, c = Value(1.0, 0.9, 1.1), Value(1.3, 1.2, 1.4), Value(2.0, 1.0, 3.0)
    assert best([b, a], "lower") == 1 and best([b, a], "higher") == 0
    assert best([a, b, c], "lower") is None  # the third is worse, and its interval overlaps
    assert best([a], "lower") is None and best([a, None], "lower") is None
    assert best([a, Value(5.0)], "lower") is None and best([a, Value(5.0, 4.0, 6.0, singular=True)], "lower") is None
    assert best([a, b], "closer", Value(1.35)) == 1 and best([a, b], "closer") is None and best([a, b], "") is None
    below, above = Value(0.5, 0.4, 0.6), Value(1.6, 1.5, 1.7)  # at 0.4 to 0.6 and at 0.5 to 0.7 from 1
    assert best([below, above], "closer", Value(1.0)) is None
    assert best([below, Value(1.0, 0.8, 1.2)], "closer", Value(1.0)) == 1


def test_digits_follow_the_interval():
    assert decimals([Value(0.0141, 0.0133, 0.0149)]) == 5 and decimals([Value(310.0, 300.0, 320.0)]) == 0
    assert decimals([Value(0.658)]) == 3 and decimals([Value(14.2)]) == 1 and decimals([None, Value(0.0)]) == 3
    assert number(-0.00004, 4) == "0.0000" and number(-0.5, 1) == "−0.5" and number(12345.6, 0) == "12,346"
    assert [short(n) for n in (None, 950, 24_000, 10_653_988)] == ["–", "950", "24 k", "10.7 M"]
    assert [duration(s) for s in (None, 45.0, 210.0, 720.0, 12_240.0)] == ["–", "45 s", "3.5 min", "12 min", "3.4 h"]


def test_singular_and_another_floor_n_are_marked_and_explained(tmp_path):
    content = result("gan")
    recall = content["metrics"][SPACE]["recall"]
    recall |= {"floor": estimate(0.7, n=(500, 500)), "generated_at_floor_n": estimate(0.6, n=(500, 500))}
    write(tmp_path, "gan_cxr", content)
    table = tables_of(tmp_path)[0]
    assert [cell.mark for cell in column(table, "FD")] == ["†", "†", "†"]
    assert [cell.mark for cell in column(table, "Recall")] == ["", "‡", ""]
    assert "†: no more images than features" in table.caption and "‡: at the floor's own n" in table.caption
    rows = records(group(read_results([tmp_path])[0])[0])
    small = next(r for r in rows if r["row"] == "run at the floor's n")
    assert (small["recall"], small["recall_n"]) == (0.6, "500 500") and "kid" not in small


def test_what_is_missing_or_not_finite_is_a_dash(tmp_path):
    content = result("gan")
    content["metrics"][SPACE]["kid"]["generated"] |= {"low": math.nan, "high": math.inf}
    content["metrics"][SPACE]["vendi"]["generated"]["value"] = math.nan
    del content["metrics"][SPACE]["recall"], content["likelihood"], content["parameters"]
    write(tmp_path, "gan_cxr", content)
    write(tmp_path, "flow_cxr", result("flow"))
    table = tables_of(tmp_path)[0]
    assert column(table, "KID")[0].interval == "" and column(table, "KID")[1].interval
    assert {column(table, title)[0].text for title in ("Vendi", "Recall", "Parameters")} == {"–"}


def test_other_networks_sizes_splits_and_n_have_tables_of_their_own(tmp_path):
    write_families(tmp_path, ("gan", "flow"))
    two = result("vae")
    two["metrics"]["inception"] = metrics(0.1)
    two["features"]["inception"] = {"name": "inception", "weights_sha256": "77", "resize": "clean"}
    write(tmp_path, "vae_cxr", two)
    small = result("ddpm", sampling={"n": 500, "seed": 0})
    write(tmp_path / "n", "ddpm_cxr", small)
    write(tmp_path / "size", "ddpm_cxr", result("ddpm", image_shape=[128, 128, 1]))
    write(tmp_path / "split", "ddpm_cxr", result("ddpm", real={"split": "val", "n": 1000}))
    groups = group(read_results([tmp_path])[0])
    assert sorted(of.name for of in groups) == [
        "phantom_cxr_128_test_n1000_1000", "phantom_cxr_64_test_n1000_1000", "phantom_cxr_64_test_n500_1000",
        "phantom_cxr_64_val_n1000_1000",
    ]  # fmt: skip
    tables = make_tables(next(of for of in groups if len(of.results) == 3))
    assert [[cell.text for cell in column(table, "Run")][:-2] for table in tables] == [
        ["GAN", "VAE", "Flow"], ["VAE"], ["GAN", "VAE", "Flow"]
    ]  # fmt: skip


def weights(content):
    content["features"][SPACE]["weights_sha256"] = "other"


def resize(content):
    content["features"][SPACE]["resize"] = "nearest"


def neighbours(content):
    content["metrics"][SPACE]["recall"]["generated"]["k"] = 5


def count(content):
    content["metrics"][SPACE]["fd"]["generated"]["n"] = [900, 1000]


def data(content):
    content["data"] = "0" * 12


def brightness(content):
    content["metrics"]["images"]["ms_ssim"]["generated"]["data_range"] = 255  # the other, older, does not say


@pytest.mark.parametrize(
    "change, word",
    [
        (brightness, "ms_ssim data_range"), (weights, "weights_sha256"), (resize, "resize"), (neighbours, "recall k"),
        (count, "fd n"), (data, "fingerprint"),
    ],
)
def test_numbers_that_are_not_comparable_are_refused_in_one_sentence(tmp_path, change, word):
    first, second = result("gan"), result("flow")
    first["metrics"][SPACE]["recall"]["generated"]["k"] = second["metrics"][SPACE]["recall"]["generated"]["k"] = 3
    write(tmp_path, "gan_cxr", first)
    write(tmp_path, "flow_cxr", second)
    assert len(group(read_results([tmp_path])[0])) == 1
    change(second)
    write(tmp_path, "flow_cxr", second)
    with pytest.raises(UserError, match=word) as caught:
        group(read_results([tmp_path])[0])
    assert "gan_cxr.json" in str(caught.value) and "flow_cxr.json" in str(caught.value)


def test_the_same_images_are_known_on_any_machine(tmp_path):
    """Fingerprints of before 24 November 2026 hold files' times, which another copy has not: the images decide."""
    for name, fingerprint, images in (("gan", "1" * 12, "a"), ("flow", "2" * 12, "a"), ("vae", "1" * 12, "b")):
        content = result(name, data=fingerprint)
        content["real"]["sha256"] = images
        write(tmp_path, f"{name}_cxr", content)
    assert len(group(read_results([tmp_path / "gan_cxr.json", tmp_path / "flow_cxr.json"])[0])) == 1
    with pytest.raises(UserError, match="checksum of the real images is a in one and b in the other"):
        group(read_results([tmp_path])[0])


def test_one_result_without_a_checksum_falls_back_on_the_fingerprint(tmp_path):
    old, new = result("vae", data="1" * 12), result("gan", data="2" * 12)
    old["real"].pop("sha256", None)
    new["real"]["sha256"] = "a"
    for content in (old, new):
        write(tmp_path, f"{content['family']}_cxr", content)
    with pytest.raises(UserError, match="the fingerprint of the data is"):
        group(read_results([tmp_path])[0])


def test_kid_of_another_n_than_the_rest_is_accepted(tmp_path):
    other = result("flow")
    other["metrics"][SPACE]["kid"]["generated"]["n"] = [900, 1000]
    write(tmp_path, "gan_cxr", result("gan"))
    write(tmp_path, "flow_cxr", other)
    assert len(group(read_results([tmp_path])[0])) == 1


def test_files_that_are_no_results(tmp_path):
    write(tmp_path, "bench", {"device": "cpu"})
    with pytest.raises(UserError, match="no results of .* among 1 JSON files"):
        read_results([tmp_path])
    with pytest.raises(UserError, match="bench.json lacks 'run'"):
        read_results([tmp_path / "bench.json"])
    path = write(tmp_path, "gan_cxr", result("gan"))
    results, others = read_results([tmp_path, path])
    assert len(results) == 1 and [other.name for other in others] == ["bench.json"]
    (tmp_path / "half.json").write_text('{"run": ')
    with pytest.raises(UserError, match="half.json is no JSON"):
        read_results([tmp_path])


def test_labels_are_as_short_as_they_can_be(tmp_path):
    write_families(tmp_path, ("vae", "gan"))
    write(tmp_path, "gan_ada", result("gan", run="gan_ada"))
    write(tmp_path, "flow_a", sampled("flow", 0.02))
    write(tmp_path, "flow_b", sampled("flow", 0.02, steps=20))
    write(tmp_path, "flow_c", sampled("flow", 0.02, steps=20))
    found = labels(read_results([tmp_path])[0])
    assert found[:4] == ["GAN (gan_ada)", "GAN (gan_cxr)", "VAE", "Flow (flow_cxr, steps 10)"]
    assert found[4].endswith("flow_b.json)") and found[5].endswith("flow_c.json)")


def test_one_result_a_run_is_that_of_its_own_file_and_not_the_best(tmp_path):
    write(tmp_path, "flow_cxr", sampled("flow", 0.5, steps=10))
    write(tmp_path, "a_better_one", sampled("flow", 0.001, steps=50))
    results = read_results([tmp_path])[0]
    assert [r.path.stem for r in one_a_run(results)] == ["flow_cxr"]
    table = tables_of(tmp_path)[0]
    assert len(table.rows) == 3 and "all 2 results are in table.csv" in table.caption
    assert len(tables_of(tmp_path, every=True)[0].rows) == 4


def test_a_caption_says_which_of_several_samplings_is_shown(tmp_path):
    for steps, kid in ((20, 0.03), (5, 0.2)):
        write(tmp_path / "in", f"ddim_{steps:02}", sampled("ddpm", kid, steps=steps))
    write(tmp_path / "in", "gan_cxr", result("gan"))
    compare.main([str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    captions = dict(re.findall(r"^\*\*\w+/(\w+)\.\*\* (.*)$", (tmp_path / "out" / "captions.md").read_text(), re.M))
    taken = "sampled in several ways, the first file by name: ddim_05.json."
    assert captions[f"metrics_{SPACE}"].endswith(taken) and taken not in captions[f"steps_{SPACE}"]


def test_captions_say_whose_images_the_real_ones_are():
    content = result("gan")
    say = lambda **real: describe([Result(Path("x.json"), content | {"real": content["real"] | real})])  # noqa: E731
    assert "1,000 real images of the test split" in say() == say(groups=1000, groups_are="patients")
    assert "1,000 real images of 300 patients of the test split" in say(groups=300, groups_are="patients")


def test_floors_of_other_real_images_are_told(tmp_path):
    other = result("flow")
    other["metrics"][SPACE]["kid"]["floor"]["value"] = 0.002
    write(tmp_path, "gan_cxr", result("gan"))
    write(tmp_path, "flow_cxr", other)
    assert "The files differ in their floor" in tables_of(tmp_path)[0].caption


def test_latex_is_escaped_and_ruled(tmp_path):
    assert latex_text(r"a_b & 5 % {x}\ ~^#$") == (
        r"a\_b \& 5 \% \{x\}\textbackslash{} \textasciitilde{}\textasciicircum{}\#\$"
    )
    assert latex_text("−0.1 FD∞† ‡ ↓ – →") == (
        r"$-$0.1 FD$_\infty$$^\dagger$ $^\ddagger$ $\downarrow$ -- $\rightarrow$"
    )
    write_families(tmp_path, ("gan",))
    write(tmp_path, "gan_b", result("gan", run="gan_b&c_100%"))
    text = latex(tables_of(tmp_path))
    assert r"GAN (gan\_b\&c\_100\%)" in text and text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    for line in text.splitlines():  # as many cells in every row
        if line.endswith(r"\\") and "Recall" in line:
            cells = line.count("&")
    bodies = text.split(r"\toprule")[1].split(r"\bottomrule")[0].splitlines()
    assert {line.replace(r"\&", "").count("&") for line in bodies if line.endswith(r"\\")} == {cells}
    assert text.isascii()


def test_markdown_shows_bold_and_marks(tmp_path):
    write_families(tmp_path)
    text = markdown(tables_of(tmp_path))
    line = next(line for line in text.splitlines() if line.startswith("| DDPM |"))
    assert "**0.0141** [0.0133, 0.0149] | 13.4† |" in line
    widths = {line.count("|") for line in text.split("\n\n")[1].splitlines()}
    assert len(widths) == 1


def test_a_terminal_gets_a_ruled_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "220")
    write_families(tmp_path)
    show(tables_of(tmp_path))
    said = capsys.readouterr().out
    assert "\x1b[1m0.0141\x1b[0m" in said and "\x1b[1m0.0183" not in said and "│" in said and "[0.0133, 0.0149]" in said


def test_the_command_writes_all_and_says_what_it_did_not_draw(tmp_path, capsys):
    study, out = tmp_path / "study", tmp_path / "out"
    write(study, "gan_cxr", write_strip(study / "gan_cxr.png", result("gan"), ["normal", "effusion"]))
    write_families(study, ("vae", "flow"))
    write(study, "bench", {"device": "cpu"})
    assert compare.main([str(study), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "| GAN |" in said and "\x1b" not in said and "bench.json" in said
    line = next(line for line in said.splitlines() if "not drawn" in line)
    assert f"steps_{SPACE} (no two results of one run" in line and f"guidance_{SPACE} (" in line
    folder = out / "phantom_cxr_64_test_n1000_1000"
    drawn = {f"metrics_{SPACE}", f"trilemma_{SPACE}", "samples", "label_fidelity"}
    assert {path.name for path in folder.iterdir()} == {f"{name}.{kind}" for name in drawn for kind in ("pdf", "png")}
    assert (out / "captions.md").read_text().count("**phantom_cxr_64_test_n1000_1000/") == len(drawn)
    assert {p.name for p in out.iterdir()} == {"table.md", "table.csv", "table.tex", "captions.md", folder.name}
    rows = list(csv.DictReader((out / "table.csv").open()))
    flow = next(r for r in rows if r["run"] == "flow_cxr" and r["features"] == SPACE)
    content = json.loads((study / "flow_cxr.json").read_text())
    assert float(flow["kid"]) == content["metrics"][SPACE]["kid"]["generated"]["value"]
    assert float(flow["bits_per_dim_low"]) == pytest.approx(3.01) and flow["fd_singular"] == "True"
    assert [r["row"] for r in rows] == ["run"] * 3 + ["floor", "ceiling"] + ["run"] * 3 + ["floor", "ceiling"]


def test_a_figure_that_is_not_drawn_any_more_is_removed_and_no_other_file(tmp_path, capsys):
    study, out = tmp_path / "study", tmp_path / "out"
    write_families(study, ("vae", "flow"))
    group_of_1000 = out / "phantom_cxr_64_test_n1000_1000"
    compare.main([str(study), "--out", str(out)])
    assert (group_of_1000 / f"trilemma_{SPACE}.png").exists()
    (group_of_1000 / "mine.png").write_text("kept")
    (study / "vae_cxr.json").unlink()  # of one family there is no trilemma
    compare.main([str(study), "--out", str(out)])
    left = {path.name for path in group_of_1000.iterdir()}
    assert {"mine.png", f"metrics_{SPACE}.png"} <= left and not any(name.startswith("trilemma") for name in left)


def test_a_group_without_results_any_more_leaves_no_folder(tmp_path, capsys):
    study, out = tmp_path / "study", tmp_path / "out"
    write_families(study, ("vae", "flow"))
    out.mkdir()
    (out / "captions.md").write_text("**gone_n5_5/samples.** Ten images.\n\n**../mine/picture.** Not ours.\n")
    (out / "gone_n5_5").mkdir()
    (out / "gone_n5_5" / "samples.png").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "picture.png").touch()
    compare.main([str(study), "--out", str(out)])
    assert not (out / "gone_n5_5").exists() and (tmp_path / "mine" / "picture.png").exists()


def test_nothing_is_written_where_results_are_refused(tmp_path):
    other = result("flow")
    weights(other)
    write(tmp_path / "study", "gan_cxr", result("gan"))
    write(tmp_path / "study", "flow_cxr", other)
    with pytest.raises(UserError):
        compare.main([str(tmp_path / "study"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_metric_of_another_name_has_a_column_at_the_end(tmp_path):
    content = result("gan")
    content["metrics"][SPACE]["authpct"] = row(estimate(0.5, 0.01), estimate(0.51, 0.01), estimate(0.4, 0.01), "higher")
    write(tmp_path, "gan_cxr", content)
    assert tables_of(tmp_path)[0].header[-1] == "authpct ↑"
