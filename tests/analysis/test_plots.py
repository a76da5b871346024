"""Figures of result files: the data on their axes, what is refused, their files."""

import numpy as np
import pytest
from PIL import Image

from analysis.comparison.result_files import read_results
from analysis.grid import SYNTHETIC
from analysis.plots import family_metrics, guidance, label_fidelity, sample_rows, steps, style, trilemma
from analysis.plots.drawing import NothingToDraw, save
from analysis.plots.sweeps import sweeps
from tests.analysis.result_set import (
    FINDINGS,
    RUNS,
    SPACE,
    estimate,
    fidelity,
    result,
    row,
    sampled,
    write,
    write_families,
    write_strip,
)


@pytest.fixture
def families(tmp_path):
    write_families(tmp_path)
    return read_results([tmp_path])[0]


def panel(drawing, title):
    found = [a for a in drawing.figure.axes if title in (a.get_title(), a.get_title(loc="left"))]
    assert len(found) == 1, [a.get_title(loc="left") for a in drawing.figure.axes]
    return found[0]


def points(axis):
    """{(x, y)} of all markers with a colour of their family."""
    return {(round(float(x), 6), round(float(y), 6), line.get_color())
            for line in axis.get_lines() if line.get_marker() in ("o", "s", "^", "D")
            for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}  # fmt: skip


def bars(axis):
    """Ends of all intervals."""
    return {tuple(np.round(segment.ravel(), 6)) for c in axis.collections if hasattr(c, "get_segments")
            for segment in c.get_segments()}  # fmt: skip


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_metrics_have_each_run_its_interval_the_floor_and_the_ceiling(families):
    drawing = family_metrics.draw(families, SPACE)
    kid = panel(drawing, "KID")
    colors = [style.FAMILY[family][0] for family in RUNS]
    assert points(kid) == {(RUNS[family][0], i, colors[i]) for i, family in enumerate(RUNS)}
    assert (0.0500, 0.0, 0.0540, 0.0) in {tuple(np.round(bar, 4)) for bar in bars(kid)}
    assert [t.get_text() for t in kid.get_yticklabels()] == ["GAN", "VAE", "DDPM", "Flow"]
    assert kid.get_xlabel() == "← better" and panel(drawing, "Coverage").get_xlabel() == "better →"
    band = [patch.get_bbox() for patch in kid.patches]
    assert [(round(b.x0, 6), round(b.x1, 6)) for b in band] == [(-0.0006, 0.0004)]
    dashed = [line for line in panel(drawing, "MS-SSIM").get_lines() if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [0.33]
    assert kid.get_title(loc="right") == "0.61 ⇢" and kid.get_xlim()[1] < 0.3
    panel(drawing, "FD†")
    assert "†" in drawing.caption and "1,000 generated" in drawing.caption and SPACE in drawing.caption


def test_metrics_that_a_run_lacks_are_none_and_those_of_the_floors_n_ticks(tmp_path):
    content = result("gan")
    del content["metrics"][SPACE]["kid"]
    content["metrics"][SPACE]["recall"]["generated_at_floor_n"] = estimate(0.7, n=(500, 500))
    write(tmp_path, "gan_cxr", content)
    write(tmp_path, "flow_cxr", result("flow"))
    drawing = family_metrics.draw(read_results([tmp_path])[0], SPACE)
    assert texts(panel(drawing, "KID")) == ["none"]
    ticks = [line for line in panel(drawing, "Recall").get_lines() if line.get_marker() == "|"]
    assert [float(line.get_xdata()[0]) for line in ticks] == [0.7] and "at the floor's n" in drawing.caption
    with pytest.raises(NothingToDraw, match="inception"):
        family_metrics.draw(read_results([tmp_path])[0], "inception")


def test_trilemma_draws_speed_likelihood_and_none(families):
    drawing = trilemma.draw(families, SPACE)
    speed, bits = drawing.figure.axes
    color = {family: style.FAMILY[family][0] for family in RUNS}
    quality = {family: round(310 * kid + 1, 6) for family, (kid, *_) in RUNS.items()}
    assert points(speed) == {(RUNS[f][1], quality[f], color[f]) for f in RUNS} and speed.get_xscale() == "log"
    drawn = {(x, c) for x, _, c in points(bits)}
    assert {(RUNS[f][2], color[f]) for f in ("vae", "ddpm", "flow")} < drawn
    none = next(x for x, c in drawn if c == color["gan"])
    labels = dict(zip(bits.get_xticks(), (t.get_text() for t in bits.get_xticklabels()), strict=True))
    assert none > 3.65 and [tick for tick, label in labels.items() if label == "none"] == [pytest.approx(none)]
    assert "AMD EPYC, 2 cores" in drawing.caption and "VAE by IWAE, k = 100 (n = 100)" in drawing.caption


def test_trilemma_takes_kid_where_the_distance_is_mostly_bias(tmp_path):
    for family in ("gan", "flow"):
        content = result(family)
        content["metrics"][SPACE]["fd_infinity"]["generated"]["singular"] = True
        write(tmp_path, family, content)
    assert trilemma.draw(read_results([tmp_path])[0], SPACE).figure.axes[0].get_ylabel().startswith("KID")


def test_trilemma_is_of_one_device(tmp_path):
    write(tmp_path, "gan_cxr", result("gan", device="NVIDIA H100"))
    write(tmp_path, "flow_cxr", result("flow"))
    with pytest.raises(NothingToDraw, match="several devices"):
        trilemma.draw(read_results([tmp_path])[0], SPACE)
    with pytest.raises(NothingToDraw, match="fewer than two"):
        trilemma.draw(read_results([tmp_path / "gan_cxr.json"])[0], SPACE)


def test_trilemma_needs_a_likelihood(tmp_path):
    """Sweeps leave it out: "none" would say that the family has none."""
    for name in ("ddpm", "flow"):
        write(tmp_path, f"{name}_cxr", result(name, likelihood=None))
    with pytest.raises(NothingToDraw, match="no run has a likelihood"):
        trilemma.draw(read_results([tmp_path])[0], SPACE)


def test_sweeps_differ_in_their_fields_only(tmp_path):
    write(tmp_path, "flow_cxr", result("flow"))
    write(tmp_path, "a", sampled("flow", 0.05, steps=4))
    write(tmp_path, "b", sampled("flow", 0.09, steps=4, sampler="euler"))
    write(tmp_path, "c", sampled("flow", 0.09, steps=6, seed=1))
    write(tmp_path, "d", sampled("flow", 0.09, steps=4, guidance=3.0))
    write(tmp_path, "e", sampled("flow", 0.05, steps=8) | {"step": 9})
    write(tmp_path, "same", sampled("flow", 0.09, steps=4))
    results = read_results([tmp_path])[0]
    found = sweeps(results, ("steps", "sampler"))
    assert [sorted(r.path.stem for r in one) for one in found] == [["a", "b", "flow_cxr"]]
    assert [sorted(r.path.stem for r in one) for one in sweeps(results, ("guidance",))] == [["a", "d"]]


def test_ticks_do_not_touch():
    assert steps.apart([5, 10, 18, 20, 40, 50, 300]) == [5, 10, 18, 40, 300]
    assert steps.apart([2, 3, 5, 10, 20, 40]) == [2, 3, 5, 10, 20, 40] and steps.apart([7]) == [7]


def test_steps_are_a_line_a_sampler(tmp_path):
    for sampler, count, kid in (("ddim", 5, 0.4), ("ddim", 20, 0.02), ("ddim", 50, 0.0105), ("dpmpp", 5, 0.05)):
        write(tmp_path, f"{sampler}_{count}", sampled("ddpm", kid, sampler=sampler, steps=count))
    drawing = steps.draw(read_results([tmp_path])[0], SPACE)
    axis = drawing.figure.axes[0]
    lines = {line.get_label(): line for line in axis.get_lines() if line.get_label() in ("ddim", "dpmpp")}
    np.testing.assert_allclose(lines["ddim"].get_xydata(), [[5, 0.4], [20, 0.02], [50, 0.0105]])
    np.testing.assert_allclose(lines["dpmpp"].get_xydata(), [[5, 0.05]])
    assert axis.get_yscale() == "log" and texts(axis) == ["floor −0.0001 ↓"] and axis.get_ylim()[0] > 1e-3
    assert axis.get_xlabel() == "Sampler steps" and axis.get_title() == "DDPM"


def test_negative_kid_is_drawn_on_a_scale_that_holds_it(tmp_path):
    for count, kid in ((5, 0.4), (20, 0.01), (50, -0.0004)):
        write(tmp_path, f"s{count}", sampled("ddpm", kid, steps=count))
    axis = steps.draw(read_results([tmp_path])[0], SPACE).figure.axes[0]
    low, high = axis.get_ylim()
    assert axis.get_yscale() == "symlog" and low < -0.0004 and high > 0.4 and "symlog" in axis.get_ylabel()


@pytest.mark.parametrize(
    "values, lows, kind",
    [([1, 5, 19], [], "linear"), ([1, 5, 21], [0.5], "log"), ([1, 5, 21], [-0.1], "symlog"), ([-1, -2], [], "linear")],
)
def test_scales(values, lows, kind):
    axis = style.new_figure(1, 1).subplots()
    assert style.set_scale(axis.yaxis, values, lows) == kind == axis.get_yscale() and axis.get_xscale() == "linear"


def test_guidance_has_kid_and_each_finding(tmp_path):
    for scale, kid in ((1.0, 0.03), (2.0, 0.02), (4.0, 0.05)):
        content = sampled("flow", kid, guidance=scale)
        content["label_fidelity"] = {name: fidelity(0.9, 0.6 + scale / 20) for name in FINDINGS}
        content["label_fidelity"]["mass"] = {"real": None, "samples": None}
        write(tmp_path, f"g{scale}", content)
    drawing = guidance.draw(read_results([tmp_path])[0], SPACE)
    kid, effusion = panel(drawing, "KID (↓ better)"), panel(drawing, "AUROC, effusion")
    assert {(x, y) for x, y, _ in points(kid)} == {(1.0, 0.03), (2.0, 0.02), (4.0, 0.05)}
    assert {(x, y) for x, y, _ in points(effusion)} == {(1.0, 0.65), (2.0, 0.7), (4.0, 0.8)}
    assert any(line.get_ydata()[0] == 0.9 for line in effusion.get_lines())  # in real images
    shown = [a.get_title() for a in drawing.figure.axes if a.axison]
    assert shown[1:] == [f"AUROC, {name}" for name in FINDINGS]
    with pytest.raises(NothingToDraw, match="guidance only"):
        guidance.draw(read_results([tmp_path / "g1.0.json"])[0], SPACE)


def test_label_fidelity_has_real_and_samples_with_intervals(families):
    drawing = label_fidelity.draw(families)
    (axis,) = drawing.figure.axes
    assert [t.get_text() for t in axis.get_yticklabels()] == list(FINDINGS)
    gan = sorted((y, x) for x, y, color in points(axis) if color == style.FAMILY["gan"][0])
    np.testing.assert_allclose([x for _, x in gan], [0.93 - 0.052 - 0.06 * i for i in range(4)], atol=1e-6)
    assert [round(y) for y, _ in gan] == [0, 1, 2, 3]
    assert any(np.allclose([bar[0], bar[2]], [0.838, 0.913]) for bar in bars(axis) if len(bar) == 4)
    real = [line.get_xdata()[0] for line in axis.get_lines() if line.get_color() == style.BLACK]
    np.testing.assert_allclose(real[:4], [0.95, 0.90, 0.85, 0.80])
    assert "n = 1,000" in drawing.caption


def strips(folder, captions=("normal", "effusion", "mass")):
    rng = np.random.default_rng(0)
    images = {family: rng.integers(0, 256, (3, 64, 64), np.uint8) for family in ("gan", "flow")}
    for family, tiles in images.items():
        content = write_strip(folder / f"{family}_cxr.png", result(family), list(captions), tiles)
        write(folder, f"{family}_cxr", content)
    return images


def test_samples_stand_below_their_labels_a_row_a_run(tmp_path):
    images = strips(tmp_path)
    write(tmp_path, "vae_cxr", result("vae"))
    drawing = sample_rows.draw(read_results([tmp_path])[0])
    drawn = [np.asarray(axis.images[0].get_array()) for axis in drawing.figure.axes]
    np.testing.assert_array_equal(drawn, [*images["gan"], *images["flow"]])
    words = {text.get_text(): text.get_position() for text in drawing.figure.texts}
    assert list(words) == ["normal", "effusion", "mass", "GAN", "Flow"]
    assert words["GAN"][1] > words["Flow"][1] and all(words[c][1] > words["GAN"][1] for c in ("normal", "mass"))
    assert drawing.synthetic and "vae_cxr.json" in drawing.caption


def test_samples_of_other_labels_or_size_are_left_out(tmp_path):
    strips(tmp_path)
    other = write_strip(tmp_path / "ddpm_cxr.png", result("ddpm"), ["mass", "mass", "mass"])
    write(tmp_path, "ddpm_cxr", other)
    broken = write_strip(tmp_path / "vae_cxr.png", result("vae", image_shape=[32, 32, 1]), ["mass"] * 6)
    broken["grid"]["captions"] = ["normal", "effusion", "mass"]  # as wide as three images of 64
    write(tmp_path, "vae_cxr", broken | {"image_shape": [64, 64, 1]})
    drawing = sample_rows.draw(read_results([tmp_path])[0])
    assert len(drawing.figure.axes) == 6
    assert all(name in drawing.caption for name in ("vae_cxr.json", "ddpm_cxr.json"))
    (tmp_path / "gan_cxr.png").unlink()
    with pytest.raises(NothingToDraw, match="strip"):
        sample_rows.draw(read_results([tmp_path / "gan_cxr.json"])[0])


def test_files_are_marked_as_synthetic_and_the_same_each_time(tmp_path, families):
    strips(tmp_path / "strips")
    samples = sample_rows.draw(read_results([tmp_path / "strips"])[0])
    pdf, png = save(samples, tmp_path)
    with Image.open(png) as picture:
        assert picture.text["Synthetic"] == "true" and picture.text["Description"] == SYNTHETIC
        off = np.subtract(picture.size, 300 * samples.figure.get_size_inches())
        assert np.abs(off).max() <= 1, "the file has another size than the figure at 300 dots per inch"  # fonts round
        assert np.asarray(picture).std() > 20
    assert SYNTHETIC.encode() in pdf.read_bytes().replace(b"\\", b"") and b"CreationDate" not in pdf.read_bytes()
    before = [path.read_bytes() for path in save(label_fidelity.draw(families[:1]), tmp_path)]
    assert before == [path.read_bytes() for path in save(label_fidelity.draw(families[:1]), tmp_path)]
    with Image.open(tmp_path / "label_fidelity.png") as picture:
        assert "Synthetic" not in picture.text and abs(picture.size[0] / 300 - style.COLUMN) < 0.01
    assert not list(tmp_path.glob("*.tmp"))


def test_families_have_a_colour_and_a_marker_of_their_own_everywhere(families):
    looks = style.looks([*families, families[0]])
    assert len({(look["color"], look["marker"]) for look in looks[:4]}) == 4
    assert looks[4] == looks[0] | {"fillstyle": "none"}
    assert style.family_look("new") == style.family_look("new") != style.family_look("gan")


def test_the_style_is_no_affair_of_the_callers(families):
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "axes.titlesize": 40, "axes.facecolor": "red"}):
        drawing = family_metrics.draw(families, SPACE)
        assert matplotlib.rcParams["font.size"] == 30
    axis = panel(drawing, "KID")
    assert axis.title.get_fontsize() == 8 and axis.get_facecolor() == (1.0, 1.0, 1.0, 1.0)


def test_a_single_file_with_nothing_but_kid_is_drawn(tmp_path):
    content = result("gan", metrics={SPACE: {"kid": row(estimate(0.05), None, None)}})
    write(tmp_path, "gan_cxr", content)
    drawing = family_metrics.draw(read_results([tmp_path])[0], SPACE)
    assert len([axis for axis in drawing.figure.axes if axis.axison]) == 1
