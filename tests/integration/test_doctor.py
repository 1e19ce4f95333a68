"""The doctor tells what is missing and how to get it, quickly, and never falls ill itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agentmem import Memory
from agentmem.embedding import weights_files
from agentmem.integrations import doctor
from agentmem.integrations.doctor import Check, checks, worst
from agentmem.integrations.install_size import CPU_TORCH, installed_sizes


def by_name(found: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def test_this_machine_is_fit() -> None:
    found = checks()

    assert worst(found) != "fail", [check for check in found if check.status == "fail"]
    assert by_name(found)["full text"].status == "ok"
    assert by_name(found)["embedder"].status == "ok"


def test_names_are_unique_and_every_problem_has_a_cure() -> None:
    found = checks()

    assert len(by_name(found)) == len(found)
    assert all(check.fix for check in found if check.status != "ok")


def test_the_quick_checks_import_nothing_heavy() -> None:
    code = (
        "import sys; from agentmem.integrations.doctor import checks; checks(); "
        "assert not {'torch', 'transformers', 'chromadb', 'sentence_transformers', 'numpy'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_embedder_is_a_warning_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_files, "find_spec", lambda name: None)
    check = by_name(checks())["embedder"]

    assert check.status == "warn"
    assert "offline" in check.fix


def test_a_missing_library_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "torch" else object())
    found = checks()

    assert by_name(found)["torch"].status == "fail"
    assert worst(found) == "fail"


def test_the_foreign_distribution_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "0.3.0" if name == "agentmem" else real(name))

    assert by_name(checks())["other agentmem"].status == "warn"


def test_without_the_foreign_distribution_nothing_is_said() -> None:
    assert "other agentmem" not in by_name(checks())


def test_a_full_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_MINIMUM_FREE", 1 << 62)

    assert by_name(checks())["disk"].status == "warn"


def test_a_path_that_does_not_exist_yet_is_looked_at_where_it_would_be(tmp_path: Path) -> None:
    check = by_name(checks(path=tmp_path / "a" / "b"))["disk"]

    assert check.status == "ok"
    assert str(tmp_path) in check.detail


def test_a_library_that_breaks_is_a_finding() -> None:
    def broken() -> Check:
        raise RuntimeError("no such\n  symbol")

    assert doctor._caught("chromadb works", broken).status == "fail"
    assert doctor._caught("chromadb works", broken).detail == "RuntimeError: no such symbol"


def test_the_packaged_embedder_works() -> None:
    assert doctor._embedder_works().status == "ok"


def test_a_check_can_be_printed_as_json() -> None:
    assert Check("a", "ok", "b").to_dict() == {"name": "a", "status": "ok", "detail": "b", "fix": ""}


@pytest.mark.slow
def test_the_deep_checks_pass_here() -> None:
    found = checks(deep=True)

    assert worst(found) != "fail", [check for check in found if check.status == "fail"]


@pytest.mark.parametrize(
    ("texts", "status"),
    [
        (["Ana lives in Porto.", "She rows."], "ok"),
        (["Ana lives in Porto.", "她住在波尔图。"], "warn"),
        (["Ana lives in Porto.", "Она живёт в Порту."], "warn"),
    ],
)
def test_an_embedder_that_is_not_for_the_notes_is_noticed(tmp_path: Path, texts: list[str], status: str) -> None:
    """By the share of notes in other scripts, whosever they are; nothing is written, and nothing said of notes of another embedder."""
    with Memory(tmp_path, embedder="minilm") as memory:
        memory.remember_many(texts, user="ana")
        memory.remember(texts[0])
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    check = by_name(checks(path=tmp_path))["notes"]

    assert check.status == status
    if status == "warn":
        assert "33%" in check.detail
        assert "multilingual" in check.fix
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert by_name(checks(path=tmp_path, embedder="hash"))["notes"].status == "ok"
    assert "notes" not in by_name(checks(path=tmp_path / "nowhere"))


def dist(site: Path, name: str, requires: str, size: int) -> None:
    """An installed distribution of one file, as far as its metadata tell."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{requires}")
    (info / "RECORD").write_text(f"{name}/data,sha256=x,{size}\n")


def test_what_an_installation_weighs_is_told_and_how_to_make_it_lighter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what agentmem asks for, through others too, and of nothing else; libraries for CUDA where there is no device have a cure."""
    dist(
        tmp_path, "agentmem-toolkit", "Requires-Dist: torch>=2\nRequires-Dist: Mat_plot>=3; extra == 'viz'\n", 1_000_000
    )
    dist(
        tmp_path,
        "torch",
        "Requires-Dist: nvidia-blas==1; platform_system == 'Linux'\nRequires-Dist: torch\n",
        700_000_000,
    )
    dist(tmp_path, "nvidia-blas", "", 3_000_000_000)
    dist(tmp_path, "mat-plot", "", 5)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(p for p in sys.path if "site-packages" not in p)])

    sizes = installed_sizes()
    monkeypatch.setattr(doctor, "has_accelerator", lambda: False)
    without = doctor._weight()
    monkeypatch.setattr(doctor, "has_accelerator", lambda: True)

    assert sizes == {"nvidia-blas": 3_000_000_000, "torch": 700_000_000, "agentmem-toolkit": 1_000_000}
    assert (without.status, without.fix.endswith(CPU_TORCH)) == ("warn", True)
    assert "3,701 MB in 3 packages" in without.detail
    assert doctor._weight().status == "ok"


def test_the_weight_of_this_installation_is_not_nothing() -> None:
    assert installed_sizes()["torch"] > 100_000_000
