"""Checkpoints: what is written comes back, and a file that does not fit is refused whole."""

import pickle
import re
import struct
import subprocess
import sys
import traceback
import warnings
import zipfile

import pytest
import torch

import diffusion_utilities as du
from support import files

SHORTCUT = ("init_conv.shortcut.weight", "init_conv.shortcut.bias")


def same(state, other):
    return state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state)


def copied(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.fixture
def checkpoint(tiny_model, tmp_path):
    path = tmp_path / "tiny.pth"
    torch.save(tiny_model.state_dict(), path)
    return path


@pytest.fixture
def old_state(tiny_model):
    """A state_dict as of the public course: without the projection, which was never stored."""
    return {key: value for key, value in copied(tiny_model).items() if key not in SHORTCUT}


# --------------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize(
    ("n_feat", "n_cfeat", "height"), [(8, 5, 16), (16, 5, 16), (8, 3, 16), (8, 5, 20), (16, 3, 12)]
)
def test_load_pretrained_reads_the_sizes_off_the_file(make_model, tmp_path, n_feat, n_cfeat, height):
    model = make_model(n_feat, n_cfeat, height)
    du.save_weights(model.state_dict(), tmp_path / "run.pth")
    loaded = du.load_pretrained(tmp_path / "run.pth", device="cpu")
    assert (loaded.in_channels, loaded.n_feat, loaded.n_cfeat, loaded.height) == (
        3,
        n_feat,
        n_cfeat,
        height,
    )
    assert same(loaded.state_dict(), model.state_dict())
    x, c = torch.randn(2, 3, height, height), torch.rand(2, n_cfeat)
    assert torch.equal(loaded(x, 0.5, c), model(x, 0.5, c))


def test_loaded_network_is_in_evaluation_mode_on_the_device_asked_for(checkpoint):
    loaded = du.load_pretrained(checkpoint, device="cpu")
    assert not any(module.training for module in loaded.modules())
    assert {p.device.type for p in loaded.parameters()} == {"cpu"}


def test_a_complete_file_loads_without_a_warning(checkpoint, tiny_model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        du.load_pretrained(checkpoint, device="cpu")
        tiny_model.load_state_dict(tiny_model.state_dict())


def test_a_name_means_a_file_in_the_weights_folder(checkpoint, monkeypatch):
    monkeypatch.setattr(files, "WEIGHTS_DIR", checkpoint.parent)
    assert du.load_pretrained("tiny", device="cpu").n_feat == 8


def test_a_path_without_its_ending_is_found(checkpoint):
    assert du.load_pretrained(checkpoint.with_suffix(""), device="cpu").n_feat == 8
    assert du.load_pretrained(str(checkpoint), device="cpu").n_feat == 8


@pytest.mark.parametrize("name", ["my model", "mine.v1.2", "mine.v1.2.pth", "./here", "folder/here.pth"])
def test_a_path_is_taken_as_it_is_and_else_completed(name, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for path in {name, name.removesuffix(".pth") + ".pth"}:
        checkpoint.replace(tmp_path / path)
        assert du.load_pretrained(tmp_path / name, device="cpu").n_feat == 8
        assert "/" not in name or du.load_pretrained(name, device="cpu").n_feat == 8
        (tmp_path / path).replace(checkpoint)


def test_a_missing_file_is_named_together_with_those_that_exist(checkpoint, monkeypatch):
    monkeypatch.setattr(files, "WEIGHTS_DIR", checkpoint.parent)
    with pytest.raises(FileNotFoundError, match=r"other\.pth.*tiny"):
        du.load_pretrained("other")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        du.load_pretrained(checkpoint.parent / "nowhere.pth")


# ----------------------------------------------------------------- checkpoints of the public course


def test_missing_projection_becomes_zero_with_one_warning(tiny_model, old_state):
    with pytest.warns(UserWarning, match="shortcut") as caught:
        result = tiny_model.load_state_dict(old_state)
    assert len(caught) == 1 and "zero" in str(caught[0].message)
    assert not result.missing_keys and not result.unexpected_keys
    loaded = tiny_model.state_dict()
    assert not any(loaded[key].any() for key in SHORTCUT)
    assert all(torch.equal(loaded[key], old_state[key]) for key in old_state)


def test_load_pretrained_takes_the_same_file_with_the_same_warning(old_state, tmp_path):
    torch.save(old_state, tmp_path / "old.pth")
    with pytest.warns(UserWarning, match="shortcut") as caught:
        loaded = du.load_pretrained(tmp_path / "old.pth", device="cpu")
    assert len(caught) == 1
    assert not any(loaded.state_dict()[key].any() for key in SHORTCUT)
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(loaded(x, 0.5), loaded(x, 0.5))


def test_no_warning_of_zeros_where_the_file_is_refused(tiny_model, old_state):
    old_state["out.3.bias"] = torch.zeros(7)
    with warnings.catch_warnings(), pytest.raises(ValueError, match=r"out\.3\.bias"):
        warnings.simplefilter("error")
        tiny_model.load_state_dict(old_state)


def test_the_dictionary_given_is_not_changed(tiny_model, old_state):
    keys = set(old_state)
    with pytest.warns(UserWarning):
        tiny_model.load_state_dict(old_state)
    assert set(old_state) == keys


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_other_programs_put_before_each_name_is_taken_off(prefix, make_model, tmp_path):
    """Saved from DataParallel, from a compiled network, or from both."""
    model, other = make_model(seed=0), make_model(seed=1)
    state = {prefix + key: value for key, value in copied(model).items()}
    torch.save(state, tmp_path / "parallel.pth")
    assert same(du.load_pretrained(tmp_path / "parallel.pth", device="cpu").state_dict(), model.state_dict())
    other.load_state_dict(state)
    assert same(other.state_dict(), model.state_dict())


def test_a_prefix_of_some_names_alone_is_not_taken_off(tiny_model):
    state = copied(tiny_model)
    state["module.out.3.bias"] = state.pop("out.3.bias")
    with pytest.raises(ValueError, match=r"module\.out\.3\.bias is unknown"):
        tiny_model.load_state_dict(state)


# ---------------------------------------------------------------------- state_dicts that do not fit


def drop(state):
    del state["down1.model.0.conv1.0.weight"]


def add(state):
    state["extra.weight"] = torch.zeros(2)


def reshape(state):
    state["out.3.weight"] = torch.zeros(3, 16, 3, 3)


def not_a_number(state):
    state["out.3.bias"][1] = torch.nan


def infinite(state):
    state["up1.model.1.conv1.1.running_var"][0] = torch.inf


MISFITS = [
    (drop, r"down1\.model\.0\.conv1\.0\.weight is missing"),
    (add, r"extra\.weight is unknown"),
    (reshape, re.escape("out.3.weight has shape (3, 16, 3, 3), expected (3, 8, 3, 3)")),
    (not_a_number, r"out\.3\.bias holds values that are not finite"),
    (infinite, r"up1\.model\.1\.conv1\.1\.running_var holds values that are not finite"),
]


@pytest.mark.parametrize(("spoil", "message"), MISFITS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_state_that_does_not_fit_changes_nothing(make_model, spoil, message):
    model, state = make_model(seed=0), copied(make_model(seed=1))
    before = copied(model)
    spoil(state)
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(state)
    assert same(model.state_dict(), before)


@pytest.mark.parametrize(("spoil", "message"), MISFITS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_file_that_does_not_fit_is_refused_with_its_name(tiny_model, tmp_path, spoil, message):
    state = copied(tiny_model)
    spoil(state)
    torch.save(state, tmp_path / "spoilt.pth")
    with pytest.raises(ValueError, match=r"spoilt\.pth.*" + message):
        du.load_pretrained(tmp_path / "spoilt.pth", device="cpu")


def test_a_long_list_of_problems_is_cut(tiny_model):
    with pytest.raises(ValueError, match=r"\(and \d+ more\)"):
        tiny_model.load_state_dict({})


def test_a_network_of_another_width_is_refused(make_model):
    with pytest.raises(ValueError, match="has shape"):
        make_model(8).load_state_dict(make_model(16).state_dict())


@pytest.mark.parametrize("spoil", [reshape, not_a_number])
def test_shapes_and_numbers_are_checked_without_strict_as_well(make_model, spoil):
    model, state = make_model(seed=0), copied(make_model(seed=1))
    before = copied(model)
    spoil(state)
    with pytest.raises(ValueError):
        model.load_state_dict(state, strict=False)
    assert same(model.state_dict(), before)


def test_without_strict_a_part_may_be_loaded(make_model):
    model, other = make_model(seed=0), make_model(seed=1)
    part = {"out.3.bias": other.out[3].bias.detach()}
    assert "out.0.weight" in model.load_state_dict(part, strict=False).missing_keys
    assert torch.equal(model.out[3].bias, other.out[3].bias)


def test_a_part_without_the_projection_leaves_it_alone(make_model):
    model = make_model(seed=0)
    before = copied(model)
    part = {key: value for key, value in copied(make_model(seed=1)).items() if key.startswith("init_conv.conv1")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        missing = model.load_state_dict(part, strict=False).missing_keys
    assert set(SHORTCUT) <= set(missing)
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in SHORTCUT)


# ------------------------------------------------------------------------------------- broken files


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999, "one byte"])
def test_a_file_cut_short_is_refused(tiny_model, tmp_path, share, new_format):
    path = tmp_path / "cut.pth"
    torch.save(tiny_model.state_dict(), path, _use_new_zipfile_serialization=new_format)
    whole = path.read_bytes()
    assert du.load_pretrained(path, device="cpu").n_feat == 8  # the whole file loads
    path.write_bytes(whole[: len(whole) - 1 if share == "one byte" else int(share * len(whole))])
    with pytest.raises(ValueError, match=r"cut\.pth"):
        du.load_pretrained(path, device="cpu")


def flipped(whole, offset):
    return whole[:offset] + bytes([whole[offset] ^ 1 << offset % 8]) + whole[offset + 1 :]


def test_a_flipped_bit_is_found_by_the_checksums(checkpoint):
    """Outside weights/, too, where no record of hashes would tell."""
    original, whole = torch.load(checkpoint), checkpoint.read_bytes()
    with zipfile.ZipFile(checkpoint) as archive:
        entries = [entry for entry in archive.infolist() if "/data/" in entry.filename]
    for entry in entries[::3]:  # inside tensors; a header of 30 bytes, a name and a filling come before them
        name, filling = struct.unpack_from("<HH", whole, entry.header_offset + 26)
        offset = entry.header_offset + 30 + name + filling + entry.file_size // 2
        checkpoint.write_bytes(flipped(whole, offset))
        with pytest.raises(ValueError, match=r"tiny\.pth is not a complete PyTorch checkpoint"):
            du.load_pretrained(checkpoint, device="cpu")
    for offset in range(0, len(whole), len(whole) // 40):  # anywhere; what nobody reads may differ
        checkpoint.write_bytes(flipped(whole, offset))
        try:
            assert same(du.load_pretrained(checkpoint, device="cpu").state_dict(), original), offset
        except ValueError as error:
            assert "tiny.pth" in str(error)


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5938475\n"
    (tmp_path / "big.pth").write_bytes(pointer)
    with pytest.raises(ValueError, match=r"big\.pth is a Git LFS pointer.*git lfs pull"):
        du.load_pretrained(tmp_path / "big.pth", device="cpu")


@pytest.mark.parametrize("claim", ["one tensor", "nested", "a whole network"])
def test_a_small_file_that_claims_much_is_refused_before_memory_is_taken(claim, tiny_model, tmp_path):
    """No computer has room for these numbers, so that any try to take it would raise something else."""
    state = copied(tiny_model)
    if claim == "a whole network":
        with torch.device("meta"):
            shapes = {key: value.shape for key, value in du.ContextUnet(3, 2**22, 5, 16).state_dict().items()}
        state = {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    else:
        huge = torch.zeros(1).expand(10**9, 10**6)
        state["out.3.bias"] = huge if claim == "one tensor" else [{"deep": (huge,)}]
    torch.save(state, tmp_path / "huge.pth")
    assert (tmp_path / "huge.pth").stat().st_size < 10**6
    with pytest.raises(ValueError, match=r"huge\.pth claims more numbers than a file of [0-9,]+ bytes can hold"):
        du.load_pretrained(tmp_path / "huge.pth", device="cpu")


def test_a_compressed_file_is_refused_before_it_is_unpacked(checkpoint, tmp_path, monkeypatch):
    with (
        zipfile.ZipFile(checkpoint) as old,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, bytes(10**6))
    monkeypatch.delattr(zipfile.ZipFile, "testzip")
    monkeypatch.delattr(torch, "load")
    with pytest.raises(ValueError, match=r"bomb\.pth.*compressed"):
        du.load_pretrained(tmp_path / "bomb.pth", device="cpu")


@pytest.mark.parametrize("content", [b"garbage", b"\x00" * 1000, b"PK\x03\x04 not a zip", b"\x80\x02."], ids=repr)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "odd.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"odd\.pth"):
        du.load_pretrained(tmp_path / "odd.pth", device="cpu")


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(3),
        [torch.zeros(3)],
        {"epoch": 3},
        {"model": {"init_conv.conv1.0.weight": torch.zeros(8, 3, 3, 3)}},
        {},
        torch.nn.Linear(2, 2).state_dict(),
    ],
    ids=["tensor", "list", "numbers", "nested", "empty", "other network"],
)
def test_a_torch_file_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=r"odd\.pth"):
        du.load_pretrained(tmp_path / "odd.pth", device="cpu")


@pytest.mark.parametrize("key", ["init_conv.conv1.0.weight", "contextembed1.model.0.weight", "up0.0.weight"])
@pytest.mark.parametrize("shape", [(), (8,), (12, 12, 3, 3)], ids=str)
def test_sizes_are_not_read_off_tensors_of_another_shape(tiny_model, tmp_path, key, shape):
    torch.save({**tiny_model.state_dict(), key: torch.zeros(shape)}, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=r"odd\.pth"):
        du.load_pretrained(tmp_path / "odd.pth", device="cpu")


class Code:
    """What is pickled of it is a call that writes a file: whoever unpickles it runs it."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return exec, (f"open({self.target!r}, 'w').close()",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_code_in_a_checkpoint_is_not_run(tiny_model, tmp_path, kind):
    path, written = tmp_path / "evil.pth", tmp_path / "written"
    state = {**tiny_model.state_dict(), "extra": Code(written)}
    path.write_bytes(pickle.dumps(state)) if kind == "pickle" else torch.save(state, path)
    with pytest.raises(ValueError, match=r"evil\.pth") as refusal:
        du.load_pretrained(path, device="cpu")
    assert not written.exists()
    assert_no_advice(refusal.value)
    pickle.loads(pickle.dumps(state)) if kind == "pickle" else torch.load(path, weights_only=False)
    assert written.exists()  # it would have run


def assert_no_advice(error):
    """PyTorch's own error tells how to load the file all the same; the whole traceback must not."""
    shown = "".join(traceback.format_exception(error))
    assert not re.search("weights_only|safe_globals|trust", shown), shown


@pytest.mark.parametrize("kind", ["a whole network", "a function"])
def test_what_is_more_than_tensors_is_refused_without_advice(kind, tiny_model, tmp_path):
    path = tmp_path / "more.pth"
    torch.save(tiny_model if kind == "a whole network" else {"w": torch.ones(1), "load": torch.hub.load}, path)
    with pytest.raises(ValueError, match=r"more\.pth holds more than tensors.*not loaded") as refusal:
        du.load_pretrained(path, device="cpu")
    assert_no_advice(refusal.value)


# ------------------------------------------------------------------------------------- save_weights


def test_save_weights_makes_the_folder_and_leaves_one_file(tmp_path):
    path = tmp_path / "new" / "run.pth"
    du.save_weights({"w": torch.ones(3)}, path)
    assert torch.equal(torch.load(path)["w"], torch.ones(3))
    assert [file.name for file in path.parent.iterdir()] == ["run.pth"]


def test_save_weights_replaces_an_older_file(tmp_path):
    path = tmp_path / "run.pth"
    du.save_weights({"w": torch.zeros(3)}, str(path))
    du.save_weights({"w": torch.ones(3)}, str(path))
    assert torch.equal(torch.load(path)["w"], torch.ones(3))


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()], ids=["disk full", "interrupt"])
def test_a_failed_save_leaves_the_old_file_and_no_debris(tmp_path, monkeypatch, failure):
    path = tmp_path / "run.pth"
    du.save_weights({"w": torch.ones(3)}, path)

    def half_written(obj, target, *args, **kwargs):
        target.write_bytes(b"half a file")
        raise failure

    monkeypatch.setattr(torch, "save", half_written)
    with pytest.raises(type(failure)):
        du.save_weights({"w": torch.zeros(3)}, path)
    assert torch.equal(torch.load(path)["w"], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ["run.pth"]


def test_what_cannot_be_saved_leaves_the_old_file_and_no_debris(tmp_path):
    path = tmp_path / "run.pth"
    du.save_weights({"w": torch.ones(3)}, path)
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        du.save_weights({"w": torch.zeros(3), "schedule": lambda t: t}, path)
    assert torch.equal(torch.load(path)["w"], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ["run.pth"]


OTHER = """
import sys, torch
from pathlib import Path
from support.files import save_weights
path, stop = map(Path, sys.argv[1:])
print("ready", flush=True)
while not stop.exists():
    save_weights({"w": torch.full((20_000,), 2.0)}, path)
"""


def test_two_programs_that_save_to_one_file_never_leave_half_of_it(tmp_path):
    path, stop, seen = tmp_path / "new" / "run.pth", tmp_path / "stop", set()
    command = [sys.executable, "-c", OTHER, str(path), str(stop)]
    with subprocess.Popen(command, cwd=du.ROOT, stdout=subprocess.PIPE) as other:
        try:
            other.stdout.readline()
            for _ in range(200):
                du.save_weights({"w": torch.full((20_000,), 1.0)}, path)
                w = files.read_state(path)["w"]
                assert w.shape == (20_000,) and (w == w[0]).all()
                seen.add(w[0].item())
        finally:
            stop.touch()
    assert other.returncode == 0 and seen == {1, 2}  # they did meet
    assert [file.name for file in path.parent.iterdir()] == ["run.pth"]
