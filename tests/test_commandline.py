"""Old and new spellings of a command line, its mistakes, and the help text."""

import functools
import io
import types
from typing import Any

import pytest
from absl import flags

from util.commandline import (
    ALIASES,
    RETIRED,
    RETIRED_SWITCHES,
    FlagTable,
    join_list_values,
    join_switch_values,
    repeat_flags,
    report_errors,
)
from util.errors import DataError, UsageError
from util.flag_page import CHECKOUT
from util.progress import Console


def make_table() -> FlagTable:
    """A table of flags of its own: absl's definitions without absl's global registry."""
    values = flags.FlagValues()
    definitions = {
        name: functools.partial(getattr(flags, name), flag_values=values)
        for name in (
            "DEFINE_boolean",
            "DEFINE_integer",
            "DEFINE_float",
            "DEFINE_string",
            "DEFINE_list",
            "DEFINE_alias",
            "DEFINE_enum",
        )
    }
    table = FlagTable(
        types.SimpleNamespace(FLAGS=values, Error=flags.Error, **definitions), "Does a thing.\n\nLong story."
    )
    table.section("Data")
    table.define("list", "train_files", ["a.csv", "b.csv"], "CSV files to train on")
    table.define("boolean", "shuffle", True, "mix the rows")
    table.define("string", "scorer_path", "", "language model")
    table.define("boolean", "bytes_output_mode", False, "bytes")
    for bound in ("min", "max"):
        table.define("string", f"export_{bound}_ds_version", "", "version")
    table.section("Training")
    table.define("integer", "epochs", 75, "times through the set", lower_bound=1)
    table.define("float", "rate", 0.5, "step")
    table.accept_old_flags()
    return table


def parse(*arguments: str) -> dict[str, Any]:
    table = make_table()
    assert table.parse(["program", *arguments])
    return table.values()


def test_what_is_inherited_stands_before_what_is_given():
    def inherit(values: Any, given: Any) -> tuple[list[str], str]:
        assert values["rate"] == 0.25
        assert set(given) >= {"rate", "epochs"}
        return ["--rate=0.75", "--scorer_path=their.scorer", "--noshuffle"], "Theirs."

    table = make_table()
    assert table.inherited == ""
    assert table.parse(["program", "--rate=0.25", "--epoch=3", "--train_files=x.csv"], inherit)
    assert table.inherited == "Theirs."
    expected = {"rate": 0.25, "epochs": 3, "scorer_path": "their.scorer", "shuffle": False, "train_files": ["x.csv"]}
    found = table.values()
    assert {name: found[name] for name in expected} == expected


def refuse(*arguments: str) -> str:
    with pytest.raises(UsageError) as caught:
        make_table().parse(["program", *arguments])
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_status == 2
    return message


def test_defaults():
    assert parse() == {
        "train_files": ["a.csv", "b.csv"], "shuffle": True, "scorer_path": "", "bytes_output_mode": False,
        "export_min_ds_version": "", "export_max_ds_version": "",
        "epochs": 75, "rate": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--noshuffle"],
        ["--shuffle=false"],
        ["--shuffle=False"],
        ["--shuffle", "False"],
        ["--shuffle", "false"],
        ["-shuffle", "FALSE"],
        ["--shuffle", "--noshuffle"],
    ],
)
def test_ways_to_say_no(arguments: list[str]):
    assert parse(*arguments)["shuffle"] is False
    assert parse(*arguments, "--epochs", "3")["epochs"] == 3


@pytest.mark.parametrize(
    "arguments", [["--shuffle"], ["--shuffle", "True"], ["--shuffle=true"], ["--noshuffle", "--shuffle"]]
)
def test_ways_to_say_yes(arguments: list[str]):
    assert parse(*arguments)["shuffle"] is True


def test_only_switches_take_the_word_behind_them():
    line = "p --name true --switch False false --switch=true true --switch x -switch TRUE"
    joined = "p --name true --switch=false false --switch=true true --switch x -switch=true"
    assert join_switch_values(line.split(), {"switch"}) == joined.split()
    assert parse("--scorer_path", "true", "--shuffle")["scorer_path"] == "true"


def test_lists_with_blanks_as_in_coqui_stt():
    line = "p --files a b c --epochs 3 4 --files=a b --files a,b c --files --epochs"
    joined = "p --files a,b,c --epochs 3 4 --files=a b --files a,b,c --files --epochs"
    assert join_list_values(line.split(), {"files"}) == joined.split()
    assert parse("--train_files", "a.csv", "b.csv", "--epochs", "3")["train_files"] == ["a.csv", "b.csv"]
    assert refuse("--train_files=a.csv", "b.csv").startswith("Unexpected argument 'b.csv'")
    assert refuse("--epochs", "3", "4").startswith("Unexpected argument '4'")
    assert refuse("a.csv", "b.csv").startswith("Unexpected argument 'a.csv'")


def test_a_flag_with_several_values_takes_the_words_behind_them():
    line = "p --add a b --add=c d e --name x y --add f --shuffle g"
    single = "p --add a --add=b --add=c --add=d --add=e --name x y --add f --shuffle g"
    assert repeat_flags(line.split(), {"add"}) == single.split()
    assert repeat_flags(["p", "--add"], {"add"}) == ["p", "--add"], "a value is missing, absl says so"


def test_aliases():
    assert parse("--epoch", "4")["epochs"] == 4
    assert parse("--scorer", "x")["scorer_path"] == "x"
    assert parse("--utf8")["bytes_output_mode"] is True
    assert parse("--utf8", "true", "--noutf8")["bytes_output_mode"] is False
    assert set(ALIASES) & set(RETIRED) == set()


def test_a_file_of_flags(tmp_path):
    path = tmp_path / "flags"
    path.write_text("# a comment\n--epochs=4\n--noshuffle\n--rate=2\n")
    found = parse("--flagfile", str(path), "--rate", "3")
    assert (found["epochs"], found["shuffle"], found["rate"]) == (4, False, 3)
    assert "no-such-file" in refuse("--flagfile=no-such-file")


def test_mistakes():
    assert "Unknown command line flag 'epohcs'" in refuse("--epohcs", "3")
    assert "epochs" in refuse("--epohcs", "3").split("Did you mean", 1)[1]
    assert "flag --epochs=0" in refuse("--epochs", "0")
    assert "flag --epochs=many" in refuse("--epochs", "many")
    assert "--epochs" in refuse("--epochs")
    assert "shuffle" in refuse("--shuffle=perhaps")
    assert (
        refuse("--epochs", "3", "b.csv") == "Unexpected argument 'b.csv': every value belongs to a flag, --flag value."
    )
    assert refuse("--shuffle", "no").startswith("Unexpected argument 'no'")


def test_retired_flags():
    table = make_table()
    assert table.parse(["p", "--lm_trie_path", "x", "--use_seq_length", "False", "--nouse_warpctc", "--noshuffle"])
    assert table.notices() == [
        "--lm_trie_path is accepted for old command lines only: use --scorer_path.",
        "--use_warpctc is accepted for old command lines only: one network and one loss serve every device.",
        "--use_seq_length is accepted for old command lines only: it has no effect any more.",
    ]
    assert not set(RETIRED) & set(table.values())
    quiet = make_table()
    quiet.parse(["p", "--epochs", "2"])
    assert quiet.notices() == []


@pytest.mark.parametrize("name", RETIRED)
def test_every_retired_flag(name: str):
    table = make_table()
    assert table.parse(["p", f"--{name}", "True" if name in RETIRED_SWITCHES else "1"])
    (notice,) = table.notices()
    assert notice.startswith(f"--{name} is accepted")


def test_a_retired_flag_has_one_notice():
    page = make_table().help_page()
    assert {name: page.count(f"`--{name}`") for name in RETIRED} == dict.fromkeys(RETIRED, 1)


def test_retired_switches_are_retired():
    assert set(RETIRED) >= RETIRED_SWITCHES


@pytest.mark.parametrize("word", ["--help", "-h", "-?", "-help", "--helpshort", "--helpfull", "--helpmarkdown"])
def test_asking_for_help(word: str):
    assert make_table().parse(["p", "--epochs", "3", word]) is False


def test_the_help_text():
    lines = make_table().help_text().splitlines()
    assert lines[0] == "Does a thing."
    assert not any("Long story" in line for line in lines)
    assert lines.index("Data") < lines.index("Training") < lines.index("Accepted from older versions, with a notice")
    shown = {line.split()[0]: line for line in lines if line.startswith("  --")}
    assert shown["--train_files"].split(maxsplit=1)[1] == "CSV files to train on (a.csv,b.csv)"
    assert shown["--[no]shuffle"].endswith("mix the rows (yes)")
    assert shown["--scorer_path"].endswith("language model")
    assert shown["--epochs"].endswith("times through the set (75)")
    tail = " ".join(lines[lines.index("Accepted from older versions, with a notice") + 1 :]).split()
    assert tail == [f"--{name}" for name in sorted(RETIRED)]
    assert max(map(len, lines)) <= 120


def test_the_page_of_flags():
    table = make_table()
    table.define("enum", "color", "", ["", "red", "green"], "the color; --noshuffle: none, a <b> or c|d")
    table.define("string", "alphabet", str(CHECKOUT / "data" / "a.txt"), "labels")
    lines = table.help_page().splitlines()
    assert lines[0] == "# Flags"
    assert [line for line in lines if line.startswith("## ")] == ["## Data", "## Training", "## From older versions"]
    for line in (
        "| `--train_files` | list, comma separated | `a.csv,b.csv` | CSV files to train on |",
        "| `--[no]shuffle` | switch | `yes` | mix the rows |",
        "| `--epochs` | whole number | `75` | times through the set |",
        "| `--scorer_path` | text |  | language model |",
        "| `--color` | `red` `green` |  | the color; `--noshuffle`: none, a \\<b\\> or c\\|d |",
        "| `--alphabet` | text | `data/a.txt` | labels |",  # wherever the checkout is
        "| `--epoch` | the same as `--epochs` |",
        "| `--load` | use `--load_train` and `--load_evaluate` |",
    ):
        assert line in lines
    old = "\n".join(lines[lines.index("## From older versions") :])
    assert all(f"`--{name}`" in old for name in [*RETIRED, *ALIASES])


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DataError("no good"), 1, "Error: no good\n"),
        (UsageError("wrong"), 2, "Error: wrong\n"),
        (PermissionError(13, "Permission denied", "a.csv"), 1, "Error: a.csv: Permission denied.\n"),
        (KeyboardInterrupt(), 130, "Error: Interrupted.\n"),
        (SystemExit(3), 3, ""),
    ],
)
def test_an_error_of_the_user_is_a_line_and_a_status(error: BaseException, status: int, said: str):
    stream = io.StringIO()
    with report_errors(Console(stream=stream)) as outcome:
        raise error
    assert (outcome.status, stream.getvalue()) == (status, said)


@pytest.mark.parametrize("error", [OSError("a bug"), ValueError("a bug"), SystemExit("text")])
def test_other_errors_are_not_hidden(error: BaseException):
    with pytest.raises(type(error)), report_errors(Console(stream=io.StringIO())):
        raise error
