"""The command line, as a person meets it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signaling import config
from signaling.__main__ import cli
from signaling.identity.livekit_token import ApiKey, LiveKitTokens

runner = CliRunner()
SECRET = "s" * 40


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text(SECRET)
    return path


def test_the_sample_is_printed_as_it_is() -> None:
    result = runner.invoke(cli, ["sample-config"])
    assert result.exit_code == 0
    assert result.stdout == config.SAMPLE.read_text()


def test_version_names_what_the_build_is_made_of() -> None:
    result = runner.invoke(cli, ["version"])
    assert result.exit_code == 0
    for part in ("conclave", "commit", "aiortc", "1.16.0", "OpenSSL"):
        assert part in result.stdout


class TestCheckConfig:
    def test_all_mistakes_and_exit_2(self, tmp_path: Path) -> None:
        path = tmp_path / "conclave.toml"
        path.write_text('polcy = "x"\n[listen]\nport = 99999\n')
        result = runner.invoke(cli, ["check-config", "-c", str(path)])
        assert result.exit_code == 2
        assert "5 mistakes" in result.stderr
        for key in ("polcy", "listen.port", "tls.certificate_file", "tls.key_file", "keys"):
            assert key in result.stderr
        assert "did you mean policy?" in result.stderr
        assert result.stdout == ""

    def test_serve_says_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "conclave.toml"
        path.write_text("")
        result = runner.invoke(cli, ["serve", "-c", str(path)])
        assert result.exit_code == 2
        assert "3 mistakes" in result.stderr


class TestToken:
    def test_it_opens_the_door_and_nothing_more(self, secret_file: Path) -> None:
        options = ["--key", "APItest", "--secret-file", str(secret_file), "--room", "lobby"]
        options += ["--identity", "ada", "--name", "Ada", "--ttl", "60", "--no-publish"]
        options += ["--source", "microphone", "--hidden"]
        result = runner.invoke(cli, ["token", *options])
        assert result.exit_code == 0, result.output
        tokens = LiveKitTokens({"APItest": ApiKey(SECRET.encode())})
        claims = tokens.authenticate(result.stdout.strip(), time.time())
        assert (claims.identity, claims.room, claims.name) == ("ada", "lobby", "Ada")
        assert not claims.can_publish
        assert claims.can_subscribe
        assert claims.hidden
        assert claims.not_after - time.time() == pytest.approx(60, abs=5)

    def test_it_needs_a_key(self, tmp_path: Path) -> None:
        options = ["--room", "r", "--identity", "i", "--state-dir", str(tmp_path / "none")]
        result = runner.invoke(cli, ["token", *options])
        assert result.exit_code == 1
        assert "No API key to sign with." in result.stderr

    def test_it_refuses_a_secret_others_can_read(self, secret_file: Path) -> None:
        secret_file.chmod(0o644)
        options = ["--key", "K", "--secret-file", str(secret_file), "--room", "r"]
        result = runner.invoke(cli, ["token", *options, "--identity", "i"])
        assert result.exit_code == 1
        assert "chmod 600" in result.stderr


class TestServe:
    @pytest.mark.parametrize("options", [[], ["--dev", "-c", "x"], ["--plaintext", "-c", "x"]])
    def test_it_wants_one_way_to_run(self, options: list[str]) -> None:
        result = runner.invoke(cli, ["serve", *options])
        assert result.exit_code == 1
        assert result.stderr

    def test_development_is_for_this_machine_only(self, tmp_path: Path) -> None:
        result = runner.invoke(
            cli,
            ["serve", "--dev", "--state-dir", str(tmp_path / "s")],
            env={"CONCLAVE_LISTEN__HOST": "0.0.0.0"},
        )
        assert result.exit_code == 2
        assert "not loopback" in re.sub(r"\s+", " ", result.stderr)
