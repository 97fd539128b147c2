"""`tidegate topic`, `partition`, `consumer`, `group`, `profile`, `benchmark`, `completions`: the clients contract, section 11."""

import json
import re
import shutil
import subprocess
import time
import tomllib

import pytest

from harness.cli import call, command
from harness.gateway import environment

pytestmark = pytest.mark.http1("that is what the command line speaks")


# ---- topics ----

def test_a_topic_is_created_described_and_deleted(gateway, client, name):
    assert call(gateway.url, "topic", "create", name, "-p", 3, "-r", 2, "--retention-time", "7d",
                "--max-partition-size", "10MiB") == (0, f'topic "{name}" created\n', "")
    info = client.info(name)
    assert (info["partitions"], info["replication_factor"]) == (3, 2)
    assert (info["config"]["ttl_ms"], info["config"]["cap_bytes"]) == (7 * 86400_000, 10 << 20)
    code, out, err = call(gateway.url, "topic", "describe", name)
    assert (code, err) == (0, "")
    assert re.sub(r"CREATED( +)\S+ \S+\n", r"CREATED\1when\n", out) == (
        f"NAME                 {name}\nPARTITIONS           3\nREPLICAS             2\nRETENTION TIME       7d\n"
        "MAX SIZE             10.5 MB\nDURABILITY           fsync\nCREATED              when\n\n"
        "PARTITION  FIRST  NEXT  RECORDS  SIZE\n"
        "0          0      0     0        0 B\n1          0      0     0        0 B\n2          0      0     0        0 B\n")
    assert json.loads(call(gateway.url, "topic", "describe", name, "-O", "json").out) == info
    assert call(gateway.url, "topic", "delete", name) == (0, f'topic "{name}" deleted\n', "")
    assert call(gateway.url, "topic", "describe", name) == (
        1, "", "tidegate topic: there is no such topic; create it first\n")


def test_a_topic_that_is_there_is_not_created(gateway, client, topic):
    assert call(gateway.url, "topic", "create", topic) == (
        1, "", f'tidegate topic: topic "{topic}" exists already, in this shape\n')
    code, out, err = call(gateway.url, "topic", "create", topic, "-p", 4)
    assert (code, out) == (1, "") and "exists with another shape" in err
    assert client.info(topic)["partitions"] == 1


def test_a_dry_run_creates_nothing(gateway, client, topic, name):
    wanted = name + "-dry"
    assert call(gateway.url, "topic", "create", wanted, "-d") == (0, f'topic "{wanted}" would be created\n', "")
    assert client.get(f"/topics/{wanted}").status_code == 404
    assert call(gateway.url, "topic", "create", topic, "--dry-run") == (
        1, "", f'tidegate topic: topic "{topic}" exists already\n')


def test_settings_from_a_file_give_way_to_options(gateway, client, name, tmp_path):
    path = tmp_path / "topic.json"
    path.write_text('{"partitions": 2, "config": {"durability": "disk", "ttl_ms": 5000}}')
    assert call(gateway.url, "topic", "create", name, "-c", path, "-p", 5, "--retention-time", "10s").code == 0
    info = client.info(name)
    assert (info["partitions"], info["config"]["durability"], info["config"]["ttl_ms"]) == (5, "disk", 10_000)
    path.write_text("[1]")
    assert call(gateway.url, "topic", "create", name + "-x", "-c", path).code == 2


def test_a_name_that_fluvio_would_refuse_is_warned_of(gateway, name):
    code, out, err = call(gateway.url, "topic", "create", f"{name}.X")
    assert (code, out) == (0, f'topic "{name}.X" created\n')
    assert err == "note: Fluvio itself takes only names of 1 to 63 characters a-z, 0-9 and `-`, without `-` at the ends\n"


def test_several_are_deleted_up_to_the_first_failure(gateway, client, name):
    names = [client.make(f"{name}-{n}") for n in "abc"]
    refusal = f'tidegate topic: topic "{name}-none" not deleted: there is no such topic; create it first\n'
    assert call(gateway.url, "topic", "delete", names[0], f"{name}-none", names[1]) == (
        1, f'topic "{names[0]}" deleted\n', refusal)
    assert call(gateway.url, "topic", "delete", f"{name}-none", names[1], names[2], "--continue-on-error") == (
        1, f'topic "{names[1]}" deleted\ntopic "{names[2]}" deleted\n', refusal)


def test_partitions_are_added(gateway, client, topic):
    assert call(gateway.url, "topic", "add-partition", topic) == (
        0, f'added 1 partition to topic "{topic}", which has 2 now\n', "")
    assert call(gateway.url, "topic", "add-partition", topic, "-c", 3) == (
        0, f'added 3 partitions to topic "{topic}", which has 5 now\n', "")
    assert client.info(topic)["partitions"] == 5


@pytest.mark.parametrize("arguments, complaint", [
    ([], "say first what to do: create, list, describe, delete or add-partition"),
    (["frobnicate"], "say first what to do: create, list, describe, delete or add-partition"),
    (["create"], "`create` takes the name of one topic"),
    (["create", "x", "-p", "0"], "--partitions is a whole number from 1 to 1024, not `0`"),
    (["create", "x", "--retention-time", "soon"],
     "--retention-time is a number and one of ms, s, m, h, d, w, y, as in 150ms or 7d, not `soon`"),
    (["list", "-O", "xml"], "--output is table, json, yaml or toml, not `xml`"),
    (["delete"], "`delete` takes the names of topics"),
])
def test_wrong_usage_is_exit_2(gateway, arguments, complaint):
    assert call(gateway.url, "topic", *arguments) == (
        2, "", f"tidegate topic: {complaint}\n`tidegate topic --help` shows how it is used\n")


# ---- lists, on a server of their own ----

@pytest.fixture
def empty(fleet, fresh_database):
    return fleet.start(fresh_database)


def test_lists_in_all_forms(empty):
    url = empty.url
    for what in ("topic", "partition", "consumer"):
        assert call(url, what, "list") == (0, f"No {what}s found\n", "")
        assert call(url, what, "list", "-O", "json") == (0, "[]\n", "")
        assert call(url, what, "list", "-O", "yaml") == (0, "[]\n", "")
        assert call(url, what, "list", "-O", "toml") == (0, "", "")
    for name, partitions in (("alpha", 2), ("beta", 1)):
        call(url, "topic", "create", name, "-p", partitions)
    call(url, "produce", "beta", "-p", 0, text="x\ny\n")
    told = call(url, "topic", "list").out
    assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "when", told) == (
        "NAME   PARTITIONS  REPLICAS  RETENTION TIME  MAX SIZE  DURABILITY  CREATED\n"
        "alpha  2           1         -               -         fsync       when\n"
        "beta   1           1         -               -         fsync       when\n")
    assert call(url, "partition", "list").out == (
        "TOPIC  PARTITION  LEADER  RECORDS  SIZE  BASE  HW  LEO\n"
        "alpha  0          any     0        0 B   0     0   0\n"
        "alpha  1          any     0        0 B   0     0   0\n"
        "beta   0          any     2        2 B   0     2   2\n")
    rows = [{"topic": "beta", "partition": 0, "leader": "any", "records": 2, "size": 2, "base": 0, "hw": 2, "leo": 2}]
    assert json.loads(call(url, "partition", "list", "beta", "-O", "json").out) == rows
    assert tomllib.loads(call(url, "partition", "list", "beta", "-O", "toml").out) == {"partitions": rows}
    assert call(url, "partition", "list", "beta", "-O", "yaml").out == (
        "- topic: beta\n  partition: 0\n  leader: any\n  records: 2\n  size: 2\n  base: 0\n  hw: 2\n  leo: 2\n")
    names = [topic["name"] for topic in tomllib.loads(call(url, "topic", "list", "-O", "toml").out)["topics"]]
    assert names == ["alpha", "beta"]


# ---- consumers ----

def test_consumers_are_listed_and_deleted(empty):
    url = empty.url
    for topic in ("alpha", "beta"):
        call(url, "topic", "create", topic, "-p", 2)
        for partition in (0, 1):
            call(url, "produce", topic, "-p", partition, text="x\ny\n")
    assert call(url, "consume", "alpha", "-Bd", "-c", "reader").code == 0
    assert call(url, "consume", "beta", "-B", "-p", 1, "--end", 0, "-c", "reader").code == 0
    assert call(url, "consume", "beta", "-Bd", "-p", 0, "-c", "another").code == 0

    def listed(*arguments):
        code, out, err = call(url, "consumer", "list", *arguments)
        assert (code, err) == (0, "")
        return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d\n", "when\n", out)

    assert listed() == (
        "CONSUMER  TOPIC  PARTITION  OFFSET  LAST SEEN\n"
        "reader    alpha  0          1       when\n"
        "reader    alpha  1          1       when\n"
        "another   beta   0          1       when\n"
        "reader    beta   1          0       when\n")
    [row] = json.loads(listed("-t", "beta", "-O", "json"))[1:]
    assert abs(row.pop("last_seen") / 1000 - time.time()) < 600
    assert row == {"consumer": "reader", "topic": "beta", "partition": 1, "offset": 0}
    assert call(url, "consumer", "delete", "reader", "-t", "alpha", "-p", 1) == (0, 'consumer "reader" deleted\n', "")
    assert [line.split()[:3] for line in listed().splitlines()[1:]] == [
        ["reader", "alpha", "0"], ["another", "beta", "0"], ["reader", "beta", "1"]]
    assert call(url, "consumer", "delete", "reader").code == 0
    assert [line.split()[0] for line in listed().splitlines()[1:]] == ["another"]
    assert call(url, "consumer", "delete", "reader") == (
        1, "", "tidegate consumer: nothing is stored for this consumer; `tidegate consumer list` shows what is\n")
    assert call(url, "consumer", "delete", "another", "-p", 0).code == 2


# ---- groups ----

def test_groups_are_shown_reset_and_deleted(gateway, client, topic):
    client.put(topic, [{"value": v} for v in "abc"])
    client.commit(topic, "billing", {0: 2})
    shown = "GROUP    PARTITION  COMMITTED  END  LAG  HOLDER  LEASE ENDS\nbilling  0          {}          3    {}    -       -\n"
    assert call(gateway.url, "group", "list", topic) == (0, shown.format(2, 1), "")
    assert call(gateway.url, "group", "reset", topic, "billing", "--to", "earliest") == (
        0, 'group "billing" reset\n', "")
    assert call(gateway.url, "group", "describe", topic, "billing") == (0, shown.format(0, 3), "")
    assert call(gateway.url, "group", "reset", topic, "billing", "--to", 1, "-p", 0).code == 0
    assert client.committed(topic, "billing") == {0: 1}
    assert call(gateway.url, "group", "reset", topic, "billing", "--to", "@1").code == 0
    assert client.committed(topic, "billing") == {0: 0}
    assert call(gateway.url, "group", "delete", topic, "billing") == (0, 'group "billing" deleted\n', "")
    assert call(gateway.url, "group", "list", topic) == (0, "No groups found\n", "")
    assert call(gateway.url, "group", "delete", topic, "billing").code == 1
    assert call(gateway.url, "group", "reset", topic, "billing", "--to", "nowhere").code == 2


# ---- profiles ----

def test_profiles_are_kept_used_and_removed(gateway, topic, tmp_path):
    path = tmp_path / "deep" / "profiles.toml"

    def profile(*arguments, **settings):
        return call(None, "profile", *arguments, profiles=path, **settings)

    assert profile("list") == (0, "No profiles found\n", "")
    assert profile("current").code == 1
    assert profile("add", "here", gateway.url + "/") == (0, 'profile "here" added\n', "")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("# mine\n" + path.read_text() + "note = 'kept'\n\n# theirs\n[other]\nx = 1\n")
    assert call(None, "profile", "add", "far", "https://far.example", "--key-file", "-", profiles=path,
                text="tg_id_secret_sum\n").out == 'profile "far" added\n'
    assert json.loads(profile("list", "-O", "json").out) == [
        {"current": True, "profile": "here", "endpoint": gateway.url + "/", "key": ""},
        {"current": False, "profile": "far", "endpoint": "https://far.example", "key": "tg_id_…"}]
    assert [line.split() for line in profile("list").out.splitlines()] == [
        ["CURRENT", "PROFILE", "ENDPOINT", "KEY"], ["*", "here", gateway.url + "/", "-"],
        ["-", "far", "https://far.example", "tg_id_…"]]
    # What the Python client reads, and everything else that stood there.
    content = tomllib.loads(path.read_text())
    assert content["current"] == "here" and content["other"] == {"x": 1}
    assert content["profile"]["far"] == {"endpoint": "https://far.example", "key": "tg_id_secret_sum"}
    assert path.read_text().startswith("# mine\n") and "# theirs\n[other]" in path.read_text()
    # Used when nothing else is said, and by name.
    assert call(None, "produce", topic, text="x\n", profiles=path) == (0, "", "")
    assert profile("switch", "far") == (0, 'profile "far" is the current one\n', "")
    assert profile("current").out == "far\n"
    assert call(None, "consume", topic, "-Bd", "--profile", "here", profiles=path) == (0, "x\n", "")
    assert profile("rename", "far", "near").code == 0
    assert profile("current").out == "near\n"
    assert profile("rename", "near", "here").code == 1
    assert profile("switch", "nowhere") == (1, "", f"tidegate profile: there is no profile `nowhere` in {path}\n")
    assert profile("delete", "near").code == 0
    assert call(None, "consume", topic, "-Bd", profiles=path).code == 1  # the current one is gone
    assert profile("add", "bad name", gateway.url).code == 1
    assert profile("add", "bad", "localhost:5470").code == 1
    assert list(tomllib.loads(path.read_text())["profile"]) == ["here"]


def test_a_profile_file_with_a_mistake_is_refused_with_its_line(tmp_path):
    path = tmp_path / "profiles.toml"
    path.write_text('current = "a"\n[profile.a]\nendpoint = nine\n')
    assert call(None, "profile", "list", profiles=path) == (
        1, "", f'tidegate profile: line 3 of {path}: write endpoint = "…"\n')


# ---- keys ----

def test_the_key_comes_from_a_file_the_environment_or_a_profile(fleet, fresh_database, tmp_path):
    from harness.gateway import run  # pylint: disable=import-outside-toplevel
    url = fleet.start(fresh_database, auth="required").url
    key = run("key", "create", "--scopes", "all", database=fresh_database).stdout.strip()
    path = tmp_path / "key"
    path.write_text(key + "\n")
    code, out, err = call(url, "topic", "list")
    assert (code, out) == (1, "") and "key" in err
    assert call(url, "topic", "list", api_key=key).code == 0
    assert call(None, "topic", "list", "--url", url, "--key-file", path).code == 0
    profiles = tmp_path / "profiles.toml"
    assert call(None, "profile", "add", "it", url, "--key-file", path, profiles=profiles).code == 0
    assert call(None, "topic", "list", profiles=profiles).code == 0
    # An address of one's own is not sent the key of a profile.
    assert call(None, "topic", "list", "--url", url, profiles=profiles).code == 1
    assert call(None, "topic", "list", "--key-file", tmp_path / "none").code == 1


# ---- benchmark ----

def test_the_benchmark_tells_rates_and_latencies(gateway, client):
    code, out, err = call(gateway.url, "benchmark", "producer", "-n", 500, "-r", "1kB", "-p", 2, "--num-producers", 3)
    assert (code, err) == (0, "")
    assert re.fullmatch(r"500 records sent, \d+ records/s \(\d+\.\d MB/s\)\n"
                        r"latency: (\d+\.\d\d) ms average, \d+\.\d\d ms maximum, \d+\.\d\d ms p50, \d+\.\d\d ms p95, "
                        r"\d+\.\d\d ms p99\n", out)
    code, out, _ = call(gateway.url, "benchmark", "producer", "-n", 10, "--keep-topic")
    assert code == 0
    topic = re.search(r'topic "(.*)" kept\n', out).group(1)
    assert client.ends(topic) == [10]
    assert len(client.take(topic, offset=0)[0]["value"]) == 5120
    assert call(gateway.url, "benchmark", "producer", "--topic", topic, "-n", 5).code == 0
    assert client.ends(topic) == [15]


# ---- completions and help ----

def complete_bash(line):
    """What bash offers behind a line, by the real script."""
    script = call(None, "completions", "bash").out
    words = line.split(" ")
    asked = (f"{script}\nCOMP_WORDS=({' '.join(repr(w) for w in words)}) COMP_CWORD={len(words) - 1}\n"
             "compopt() { :; }\n_tidegate\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n")
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def complete_zsh(line):
    """What the real script offers to zsh, which needs a terminal to choose from it: its offers are written out instead."""
    script = call(None, "completions", "zsh").out
    words = line.split(" ")
    asked = ("compdef() { :; }\n_files() { print -l -- $words[CURRENT]*(N); }\n"
             "compadd() { [[ $1 == -- ]] && shift; print -l -- ${(M)@:#$words[CURRENT]*}; }\n"
             "_describe() { compadd -- ${commands%%:*}; }\n"
             f"{script}\nwords=({' '.join(repr(w) for w in words)}) CURRENT={len(words)}\n_tidegate\n")
    done = subprocess.run(["zsh", "-f", "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


def complete_fish(line):
    """What fish offers behind a line."""
    script = call(None, "completions", "fish").out
    done = subprocess.run(["fish", "--no-config", "-c", f"{script}\ncomplete -C {line!r}"], capture_output=True, text=True,
                          check=True, timeout=60)
    assert done.stderr == ""
    return [offer.split("\t")[0] for offer in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_verbs_options_and_values(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    offers = {"bash": complete_bash, "zsh": complete_zsh, "fish": complete_fish}[shell]
    assert offers("tidegate pro") == ["produce", "profile"]
    assert {"create", "list", "describe", "delete", "add-partition"} <= set(offers("tidegate topic "))
    assert offers("tidegate consume orders --dis") == ["--disable-continuous", "--disable-progressbar"]
    assert offers("tidegate produce orders --compression z") == ["zstd"]
    assert offers("tidegate topic list -O y") == ["yaml"]
    (tmp_path / "lines.txt").touch()
    assert offers(f"tidegate produce orders -f {tmp_path}/li") == [f"{tmp_path}/lines.txt"]
    assert offers(f"tidegate produce orders --key {tmp_path}/li") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_command(shell):
    script = call(None, "completions", shell)
    assert script.code == 0 and script.err == ""
    commands = re.findall(r"^  ([a-z]+) ", call(None, "help").out, re.MULTILINE)
    assert {"produce", "consume", "topic", "serve", "completions"} <= set(commands)
    for name in commands:
        assert re.search(rf"\b{name}\b", script.out), name


def test_every_command_has_help_with_an_exit_status_of_0():
    for name in re.findall(r"^  ([a-z]+) ", call(None, "help").out, re.MULTILINE):
        done = subprocess.run(command(name, "--help"), env=environment(), capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"Usage: tidegate {name}"), name
        assert all(len(line) <= 120 for line in done.stdout.splitlines()), name
