"""The reference encodings through `decode --jsonl` and `encode --jsonl`, as another program would use them."""

import json
import re
from pathlib import Path
from xml.etree.ElementTree import canonicalize

import pytest

from iso15118.cli.main import OK, main
from iso15118.cli.schemas import SHORT_NAMES

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "exi"
FILES = (
    "sap iso20_cm iso20_ac iso20_dc iso20_wpt iso20_acdp xmldsig lists ac_der_iec ac_der_sae wpt-2 acdp-2 "
    "captures peers extra"
).split()
SUPPORTED = frozenset(SHORT_NAMES.values())

pytestmark = [
    pytest.mark.vectors,
    pytest.mark.skipif(
        not VECTORS.is_dir(), reason="the reference encodings (../shared/vectors/exi) are not here"
    ),
]


def load(name):
    lines = (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [v for v in map(json.loads, lines) if v["schema"] in SUPPORTED]


def through(command, records, tmp_path, capsys):
    """The answers of `iso15118 COMMAND --jsonl` by id."""
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    assert main([command, "--jsonl", str(file)]) == OK
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [a["id"] for a in answers] == [r["id"] for r in records]
    return {a["id"]: a for a in answers}


def same(text, expected):
    """Whether two documents are the same infoset; some vectors declare their prefixes in another order."""
    return text == expected or (
        text is not None
        and canonicalize(text, rewrite_prefixes=True) == canonicalize(expected, rewrite_prefixes=True)
    )


def root_of(xml):
    """The local name of the root element (`root` of a vector may name the head of its substitution group)."""
    return re.match(r"<(?:\w+:)?(\w+)", xml)[1]


@pytest.mark.parametrize("name", FILES)
def test_decode(name, tmp_path, capsys):
    vectors = load(name)
    records = [{k: v[k] for k in ("id", "schema", "exi", "fragment")} for v in vectors]
    answers = through("decode", records, tmp_path, capsys)
    wrong = [v["id"] for v in vectors if not same(answers[v["id"]].get("xml"), v["xml"])]
    roots = [v["id"] for v in vectors if answers[v["id"]].get("root") != root_of(v["xml"])]
    assert vectors
    assert (wrong, roots) == ([], [])


@pytest.mark.parametrize("name", [n for n in FILES if n not in ("captures", "peers")])
def test_the_second_spelling_is_read_too(name, tmp_path, capsys):
    vectors = [v for v in load(name) if "exi_alt" in v]
    records = [
        {"id": v["id"], "schema": v["schema"], "exi": v["exi_alt"], "fragment": v["fragment"]}
        for v in vectors
    ]
    answers = through("decode", records, tmp_path, capsys)
    assert [v["id"] for v in vectors if not same(answers[v["id"]].get("xml"), v["xml"])] == []


@pytest.mark.parametrize("name", FILES)
def test_encode(name, tmp_path, capsys):
    vectors = load(name)
    records = [{k: v[k] for k in ("id", "schema", "xml", "fragment")} for v in vectors]
    answers = through("encode", records, tmp_path, capsys)
    wrong = [
        v["id"] for v in vectors if answers[v["id"]].get("exi") not in (v["exi"], v.get("exi_alt", v["exi"]))
    ]
    assert vectors
    assert wrong == []


def test_broken_input_gives_errors_or_the_very_message(tmp_path, capsys):
    vectors = load("negative")
    records = [{k: v[k] for k in ("id", "schema", "exi", "fragment")} for v in vectors]
    answers = through("decode", records, tmp_path, capsys)
    internal = [a["id"] for a in answers.values() if "internal error" in a.get("error", "")]
    accepted = [v["id"] for v in vectors if v["expect"] == "error" and "error" not in answers[v["id"]]]
    refused = [v["id"] for v in vectors if v["expect"] == "accept" and "error" in answers[v["id"]]]
    assert vectors
    assert (internal, accepted, refused) == ([], [], [])
