"""The file of --log: all that a command said, a line each, whatever it showed."""

import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from phangs_xr.cli import commands
from phangs_xr.cli.commands import app, main
from phangs_xr.cli.console import close_log, open_log, write_log
from phangs_xr.engine import run
from tests.commands import call, refuse

LONG = 150 * "x"

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) \[\d+\] (\S.*)"
)


def read_log(path):
    """Levels and words of all lines; that each is one is checked."""
    return [LINE.fullmatch(line).groups() for line in path.read_text().splitlines()]


def test_log__holds_all_while_nothing_is_shown(field, tmp_path, capsys, monkeypatch):
    def judge(*_):
        return ["the gain is\nodd"]

    monkeypatch.setattr(run, "judge_numbers", judge)
    log = tmp_path / "run.log"
    log.write_text("2026-01-01T00:00:00.000Z INFO [1] from before\n")
    given = ("run", field, "--out", tmp_path / "out", "--quiet", "--log", log)
    assert call(*given) == 0
    shown = capsys.readouterr()
    assert shown.err == "WARNING: the gain is\nodd\n"
    lines = read_log(log)
    assert lines[0] == ("INFO", "from before")
    assert re.match(r"phangs-xr \d\S+: run .*field.toml --out .* --quiet --log ", lines[1][1])
    assert ("WARNING", "the gain is odd") in lines
    assert lines[-1] == ("INFO", "exit 0")
    words = "\n".join(text for _, text in lines)
    assert re.search(r"smooth_hst: 1 chunks, \d+\.\d s, \d+\.\d Mpx/s$", words, re.M)
    assert any(level == "DEBUG" for level, _ in lines)
    # What the user is told at the end too.
    assert all(line in words for line in shown.out.splitlines())
    # A second command goes on in the same file, and leaves no handler behind.
    assert call("plan", field, "--out", tmp_path / "out", "--log", log) == 0
    assert read_log(log)[: len(lines)] == lines
    assert read_log(log)[-1] == ("INFO", "exit 0")
    assert not [one for one in logging.getLogger("phangs_xr").handlers if "--log" in str(one.name)]
    size = log.stat().st_size
    assert call("plan", field, "--out", tmp_path / "out") == 0
    assert log.stat().st_size == size


def test_log__changes_nothing_that_is_shown(field, tmp_path, capsys):
    shown = []
    for options in ((), ("--log", tmp_path / "run.log")):
        assert call("run", field, "--out", tmp_path / f"out{len(options)}", *options) == 0
        found = capsys.readouterr()
        text = re.sub(r"\d+\.\d (s|Mpx/s)", r"# \1", found.out + found.err)
        shown.append(text.replace("out2", "out0").replace("--log", ""))
    assert shown[0] == shown[1]
    assert "smooth_hst: 1 chunks, # s, # Mpx/s" in shown[0]


def test_log__holds_the_mistake(field, tmp_path, capsys):
    log = tmp_path / "run.log"
    (field.parent / "data" / "cont_f555w_sci.fits").unlink()
    assert call("run", field, "--log", log) == 2
    [shown] = capsys.readouterr().err.splitlines()
    assert read_log(log)[-2:] == [
        ("ERROR", shown.removeprefix("phangs-xr: ")),
        ("INFO", "exit 2"),
    ]
    assert call("run", field, "--out", "--log", log) == 2  # a mistake of typing
    assert call("run", field, field, "--quiet", "--log", log) == 2
    lines = [text for level, text in read_log(log) if level == "ERROR"]
    assert sum(re.match(r"\S+field.toml failed: .*cont_f555w", line) is not None for line in lines)
    assert lines[-1].startswith("2 of 2 fields failed")


def test_log__holds_what_is_no_mistake_of_the_user(field, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(commands, "_run_one", fail)
    log = tmp_path / "run.log"
    with pytest.raises(RuntimeError):
        main(["run", str(field), "--log", str(log)])
    assert read_log(log)[-1] == ("ERROR", "RuntimeError: two lines")


@pytest.mark.parametrize("name", ["missing/run.log", "data", "data/narrow_f658n_sci.fits/run.log"])
@pytest.mark.parametrize("command", ["run", "plan"])
def test_log__where_none_can_be(field, tmp_path, capsys, command, name):
    line = refuse(capsys, tmp_path, command, field, "--log", tmp_path / name)
    assert re.match(r"phangs-xr: --log .*: a file that can be written is needed, found", line)


def test_log__is_an_option_of_every_command():
    for name, command in typer.main.get_command(app).commands.items():
        assert "--log" in {option for one in command.params for option in one.opts}, name


WRITE = """
import sys
from pathlib import Path
from phangs_xr.cli.console import close_log, open_log, write_log

open_log(Path(sys.argv[1]))
for number in range(300):
    write_log(f"other {number} " + 150 * "x")
close_log()
"""


def write_lines(path, name):
    """Write many lines to a log, as a command would."""
    open_log(Path(path))
    for number in range(300):
        write_log(f"{name} {number} {LONG}")
    close_log()


def test_log__may_be_shared_by_processes(tmp_path):
    log = tmp_path / "run.log"
    other = subprocess.Popen([sys.executable, "-c", WRITE, log])
    while not log.exists() and other.poll() is None:
        time.sleep(0.01)
    write_lines(log, "own")
    assert other.wait() == 0
    words = [text for _, text in read_log(log)]
    for name in ("own", "other"):
        found = [text for text in words if text.startswith(name)]
        assert found == [f"{name} {number} {LONG}" for number in range(300)]
