"""Completion by the shells: what their scripts ask for is what they get, in bash itself too."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import phangs_xr
from phangs_xr.cli.commands import app
from tests.commands import call

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_PHANGS_XR_COMPLETE"


@pytest.fixture(autouse=True)
def named_shell(monkeypatch):
    """Have the shell named, not found among the processes above this one."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")


@pytest.fixture
def complete(monkeypatch, capsys):
    """Ask for what may follow words, as a shell's script does; return the candidates."""

    def complete(shell, *words):
        monkeypatch.setenv(VARIABLE, f"complete_{shell}")
        line = " ".join(("phangs-xr", *words))
        if shell == "bash":
            monkeypatch.setenv("COMP_WORDS", line.replace(" ", "\n"))
            monkeypatch.setenv("COMP_CWORD", str(len(words)))
        else:
            monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
            monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        assert call() == 0
        text = capsys.readouterr().out
        if shell == "zsh":
            return re.findall(r'^(?:.*\(\()?"([^"]+)"', text, re.M)
        return [line.partition("\t")[0] for line in text.splitlines() if line]

    return complete


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_and_options_are_completed(complete, shell):
    names = list(typer.main.get_command(app).commands)
    assert {"run", "qa", "export", "cutout"} <= set(names)
    assert complete(shell, "") == names
    assert complete(shell, "cu") == ["cutout"]
    assert complete(shell, "run", "--qu") == ["--quiet"]
    assert complete(shell, "run", "a.toml", "--log", "x.log", "--no") == ["--no-report"]
    assert complete(shell, "cutout", "out", "--map", "halpha_j") == [
        "halpha_joint",
        "halpha_joint_err",
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_is_opened_while_a_shell_completes(complete, shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complete(shell, "run", "--log", "run.log", "--qu") == ["--quiet"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_ask_as_these_tests_do(shell, capsys):
    assert call("--show-completion", shell) == 0
    script = capsys.readouterr().out
    assert f"{VARIABLE}=complete_{shell}" in script
    asked = {"bash": ["COMP_WORDS", "COMP_CWORD"], "zsh": ["_TYPER_COMPLETE_ARGS"]}
    asked["fish"] = ["_TYPER_COMPLETE_ARGS", "_TYPER_COMPLETE_FISH_ACTION=get-args"]
    assert all(name in script for name in asked[shell])
    begins = {"bash": "complete -o default", "zsh": "#compdef phangs-xr", "fish": "complete --co"}
    assert begins[shell] in script


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".bash_completions/phangs-xr.sh"),
        ("zsh", ".zfunc/_phangs-xr"),
        ("fish", ".config/fish/completions/phangs-xr.fish"),
    ],
)
def test_scripts_are_installed_at_home(shell, place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert call("--show-completion", shell) == 0
    script = capsys.readouterr().out
    assert call("--install-completion", shell) == 0
    assert place in capsys.readouterr().out
    assert (tmp_path / place).read_text().strip() == script.strip()


def test_home_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    home = tmp_path / "home"
    home.write_text("a file")
    monkeypatch.setenv("HOME", str(home))
    assert call("--install-completion", "bash") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "a home that can be written is needed" in said


IN_BASH = """
PATH="$1:$PATH"
eval "$(phangs-xr --show-completion bash)"
function=$(complete -p phangs-xr | sed 's/.*-F \\([^ ]*\\).*/\\1/')
ask() {
  COMP_WORDS=(phangs-xr "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  "$function" phangs-xr
  echo "${COMPREPLY[@]}"
}
ask qa out --stri
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_itself_completes(tmp_path):
    command = tmp_path / "phangs-xr"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m phangs_xr "$@"\n')
    command.chmod(0o755)
    root = str(Path(phangs_xr.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(
        ["bash", "--norc", "-c", IN_BASH, "bash", tmp_path],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.splitlines() == ["--strict"]
    assert done.stderr == ""
