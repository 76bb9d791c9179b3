import os
import subprocess
import sys
from pathlib import Path

import pytest

from iso15118.cli import main as program
from iso15118.cli.main import COMMANDS, FAILED, OK, USAGE, main
from iso15118.errors import ConfigError, DecodeError

PROJECT = Path(__file__).parents[3]


class Fake:
    """A command module that does what the test says."""

    __doc__ = "A fake."

    def __init__(self, outcome):
        self.outcome = outcome

    def configure(self, parser):
        parser.add_argument("--number", type=int)

    def run(self, args):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def fake(monkeypatch):
    def install(outcome):
        monkeypatch.setattr(program.importlib, "import_module", lambda _: Fake(outcome))

    return install


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == OK
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


def test_without_command_is_a_wrong_call(capsys):
    assert main([]) == USAGE
    assert "usage" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == OK
    assert capsys.readouterr().out.startswith("iso15118-stack ")


def test_unknown_command_is_answered_with_the_nearest(capsys):
    assert main(["decod"]) == USAGE
    err = capsys.readouterr().err
    assert "'decod'" in err
    assert "'decode'" in err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    assert main([name, "--help"]) == OK
    assert f"iso15118 {name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--number", "x"], ["--unknown"], ["extra"]])
def test_argument_errors_are_wrong_calls(arguments, fake, capsys):
    fake(OK)
    assert main(["demo", *arguments]) == USAGE
    assert "usage: iso15118 demo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcome", "code", "text"),
    [
        (OK, OK, ""),
        (FAILED, FAILED, ""),
        (
            DecodeError("no such event code", ("DC_PreChargeReq",), 12),
            FAILED,
            "DC_PreChargeReq: no such event code at bit 12",
        ),
        (ConfigError("evse_id", "too long", "a.toml"), USAGE, "a.toml: evse_id: too long"),
        (program.UsageError("give me a file"), USAGE, "give me a file"),
        (KeyboardInterrupt(), FAILED, "interrupted"),
        (BrokenPipeError(), FAILED, ""),
    ],
)
def test_outcomes_become_exit_codes(outcome, code, text, fake, capsys):
    fake(outcome)
    assert main(["demo"]) == code
    err = capsys.readouterr().err
    assert text in err
    assert "Traceback" not in err


def test_a_defect_of_ours_is_not_hidden(fake):
    fake(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        main(["demo"])


def test_help_loads_neither_commands_nor_asyncio():
    probe = (
        "import sys, iso15118.cli.main as m; m.main(['--help']);"
        "bad = {'asyncio', 'socket', 'argparse', 'iso15118.exi', 'iso15118.cli.decode'} & set(sys.modules);"
        "sys.exit(f'loaded: {bad}' if bad else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=PROJECT,
    )
    assert done.returncode == 0, done.stderr


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"id": 1}\n' * 20_000)
    script = f"{sys.executable} -m iso15118.cli decode --jsonl {lines} | head -1"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False, cwd=PROJECT
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_output_survives_a_narrow_encoding(tmp_path):
    key = '<ds:KeyName xmlns:ds="http://www.w3.org/2000/09/xmldsig#">\u00fc\U0001f50c</ds:KeyName>'
    (tmp_path / "key.xml").write_text(key, encoding="utf-8")
    script = f"{sys.executable} -m iso15118.cli encode -s xmldsig {tmp_path}/key.xml | {sys.executable} -m iso15118.cli decode -s xmldsig --xml"
    done = subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        timeout=30,
        check=False,
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.stdout.decode("utf-8").strip() == key
