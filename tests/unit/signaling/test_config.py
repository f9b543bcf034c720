"""Settings: every key in the sample and overridable, every mistake told at once."""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from signaling import config
from signaling.config import ConfigError, Mistake, Settings

SECRET = "s" * 32


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file that works: TLS files, one API key, nothing else."""
    certificate, key = self_signed(tmp_path)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET + "\n")
    path = tmp_path / "conclave.toml"
    path.write_text(
        f'[tls]\ncertificate_file = "{certificate}"\nkey_file = "{key}"\n'
        '[keys.APItest]\nsecret_file = "secret"\n'
    )
    return path


def load(path: Path | None, **environ: str) -> Settings:
    return config.load(path, environ, time.time())


def mistakes(path: Path | None, **environ: str) -> dict[str, Mistake]:
    with pytest.raises(ConfigError) as caught:
        load(path, **environ)
    return {mistake.key: mistake for mistake in caught.value.mistakes}


def sample_with_every_key() -> dict[str, Any]:
    """The sample with its commented settings uncommented."""
    text = config.SAMPLE.read_text()
    return tomllib.loads(re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE))


def flat(table: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= {(key, *rest): inner for rest, inner in flat(value).items()}
        else:
            found[(key,)] = value
    return found


class TestSample:
    def test_it_holds_every_setting_and_nothing_else(self) -> None:
        keys = {
            tuple("NAME" if part == "APIexample" else part for part in path)
            for path in flat(sample_with_every_key())
        }
        assert keys == set(config.setting_paths())

    def test_what_is_commented_out_is_the_default(self) -> None:
        every = sample_with_every_key()
        uncommented = set(flat(tomllib.loads(config.SAMPLE.read_text())))
        ours = Settings().model_dump(mode="json")
        for path, value in flat(every).items():
            if path in uncommented or path[0] == "keys" or path[-1] in ("token", "token_file"):
                continue
            expected = flat(ours)[path]
            parsed = Settings(**{path[0]: every[path[0]]} if len(path) > 1 else {path[0]: value})
            assert flat(parsed.model_dump(mode="json"))[path] == expected, path

    def test_it_parses_as_it_is(self) -> None:
        assert Settings(**tomllib.loads(config.SAMPLE.read_text())).keys["APIexample"]


VALUES = {
    "state_dir": "/tmp/state",
    "policy": "strict",
    "listen.host": "0.0.0.0",
    "listen.port": "7443",
    "listen.trusted_proxies": "10.0.0.1, 10.1.0.0/16",
    "listen.forwarded_header": "forwarded",
    "media.port": "9000",
    "media.workers": "4",
    "media.spill_at": "0.5",
    "media.coalesce_us": "250",
    "media.bind": "127.0.0.1",
    "media.interfaces": "eth0,wg0",
    "media.advertise": "203.0.113.7,2001:db8::7",
    "media.suites": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "media.srtp_profiles": "AEAD_AES_128_GCM",
    "keys.APItest.max_token_lifetime": "30m",
    "limits.joins_per_minute": "7",
    "limits.connections_per_address": "8",
    "limits.max_message_bytes": "1000000",
    "limits.max_header_bytes": "20000",
    "limits.max_rooms": "9",
    "limits.max_participants_per_room": "10",
    "limits.max_participants": "11",
    "limits.max_handshakes": "12",
    "admin.host": "::1",
    "admin.port": "7999",
    "admin.token": "t" * 32,
    "log.format": "console",
    "log.level": "debug",
    "shutdown.grace": "2m",
}
# these need files; tests of their own override them
FILES = {
    "tls.certificate_file",
    "tls.key_file",
    "keys.APItest.secret",
    "keys.APItest.secret_file",
    "admin.token_file",
}


class TestEnvironment:
    def test_the_table_of_values_names_every_setting(self) -> None:
        paths = {".".join(path).replace("NAME", "APItest") for path in config.setting_paths()}
        assert paths == set(VALUES) | FILES

    @pytest.mark.parametrize("key", sorted(VALUES))
    def test_it_overrides(self, good: Path, key: str) -> None:
        name = "CONCLAVE_" + "__".join(
            part if part == "APItest" else part.upper() for part in key.split(".")
        )
        before, after = load(good), load(good, **{name: VALUES[key]})
        path = tuple(key.split("."))
        assert flat(before.model_dump())[path] != flat(after.model_dump())[path]

    def test_it_overrides_files(self, good: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        certificate, key = self_signed(other)
        token = tmp_path / "token"
        token.touch(mode=0o600)
        token.write_text("a" * 40)
        settings = load(
            good,
            CONCLAVE_TLS__CERTIFICATE_FILE=str(certificate),
            CONCLAVE_TLS__KEY_FILE=str(key),
            CONCLAVE_ADMIN__TOKEN_FILE=str(token),
            CONCLAVE_KEYS__APIother__SECRET="o" * 32,
        )
        assert settings.tls.key_file == key
        assert settings.admin.token is not None
        assert settings.admin.token.get_secret_value() == "a" * 40
        assert set(settings.api_keys()) == {"APItest", "APIother"}

    def test_a_variable_that_names_no_setting_is_a_mistake(self, good: Path) -> None:
        found = mistakes(good, CONCLAVE_LISTEN__PROT="1", CONCLAVE_X="1", HOME="/root")
        assert set(found) == {"CONCLAVE_LISTEN__PROT", "CONCLAVE_X"}
        assert found["CONCLAVE_LISTEN__PROT"].remedy == "did you mean CONCLAVE_LISTEN__PORT?"


def test_a_good_file_loads_with_its_secrets_read(good: Path) -> None:
    settings = load(good)
    assert settings.api_keys()["APItest"].secret == SECRET.encode()
    assert SECRET not in repr(settings)


def test_all_mistakes_are_told_at_once(good: Path) -> None:
    good.write_text(
        'polcy = "strict"\npolicy = "weak"\n'
        '[listen]\nhost = "all"\nport = 70000\ntrusted_proxies = ["0.0.0.0/0"]\n'
        '[keys.APIshort]\nsecret = "tiny"\n[keys.APInone]\n'
        '[admin]\nhost = "0.0.0.0"\n[log]\nlevel = 3\n[shutdown]\ngrace = "soon"\n'
    )
    good.chmod(0o600)
    found = mistakes(good, CONCLAVE_NOPE="1", CONCLAVE_MEDIA__BIND="everywhere")
    assert set(found) == {
        "polcy",
        "policy",
        "listen.host",
        "listen.port",
        "listen.trusted_proxies",
        "keys.APIshort.secret",
        "keys.APInone",
        "admin.host",
        "log.level",
        "shutdown.grace",
        "tls.certificate_file",
        "tls.key_file",
        "CONCLAVE_NOPE",
        "media.bind",
    }
    assert found["polcy"].remedy == "did you mean policy?"
    assert next(iter(found)) == "polcy"  # the file's order, then what is not in the file
    assert list(found)[-2:] == ["tls.certificate_file", "tls.key_file"]
    assert all(mistake.remedy for mistake in found.values())


def test_a_wrong_value_is_never_repeated(good: Path) -> None:
    good.write_text('[keys.APItest]\nsecret = "hunter2hunter2"\nmax_token_lifetime = "hunter2"\n')
    good.chmod(0o600)
    assert not any("hunter2" in str(mistake) for mistake in mistakes(good).values())


@pytest.mark.parametrize(
    ("line", "key", "problem", "remedy"),
    [
        ("listen = 3", "listen", "must be a table", "write it as [listen]"),
        ("[meda]", "meda", "is not a setting", "did you mean media?"),
        (
            '[keys.A]\nsecrt = "x"',
            "keys.A.secrt",
            "is not a setting",
            "did you mean keys.A.secret?",
        ),
        ("[listen]\nport = 70000", "listen.port", "must be at most 65535", "sample-config"),
        ('[admin]\nhost = "x.org"', "admin.host", "must be an IP address", "203.0.113.7"),
        ('[log]\nformat = "xml"', "log.format", "must be 'json' or 'console'", "sample-config"),
        ('[shutdown]\ngrace = "soon"', "shutdown.grace", "must be a duration", '"10s"'),
        ("[limits]\nmax_rooms = 1.5", "limits.max_rooms", "must be a whole number", "sample"),
        (
            '[media]\nbind = ["0.0.0.0"]\nadvertise = ["2001:db8::7"]',
            "media.advertise",
            "2001:db8::7 is IPv6, and media.bind has no address of that family",
            'add "::"',
        ),
        ("[media]\nworkers = 0", "media.workers", "must be at least 1", "sample-config"),
        ("[media]\nworkers = 65", "media.workers", "must be at most 64", "sample-config"),
        ('[media]\nworkers = "many"', "media.workers", "must be a whole number", "sample-config"),
        (
            "[media]\nport = 7879\nworkers = 4",
            "media.workers",
            "takes the ports 7879-7882, among them listen.port and admin.port",
            "another media.port",
        ),
        (
            "[media]\nport = 65534\nworkers = 4",
            "media.workers",
            "needs the ports up to 65537",
            "lower media.port",
        ),
    ],
)
def test_a_mistake_is_told_in_words_for_a_person(
    tmp_path: Path, line: str, key: str, problem: str, remedy: str
) -> None:
    path = tmp_path / "conclave.toml"
    path.write_text(line)
    found = mistakes(path)[key]
    assert found.problem == problem
    assert remedy in found.remedy


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
class TestFileModes:
    def test_a_secret_others_can_read(self, good: Path, mode: int) -> None:
        (good.parent / "secret").chmod(mode)
        assert "chmod 600" in mistakes(good)["keys.APItest.secret_file"].remedy

    def test_a_tls_key_others_can_read(self, good: Path, mode: int) -> None:
        (good.parent / "tls.key").chmod(mode)
        assert "chmod 600" in mistakes(good)["tls.key_file"].remedy

    def test_a_settings_file_with_a_secret_in_it(self, good: Path, mode: int) -> None:
        good.chmod(mode)
        assert load(good)  # no secret inside: anybody may read it
        good.write_text(good.read_text().replace('secret_file = "secret"', f'secret = "{SECRET}"'))
        assert "chmod 600" in mistakes(good)["file"].remedy


class TestCertificates:
    def test_no_tls_is_refused_even_on_loopback(self, good: Path) -> None:
        good.write_text('[keys.APItest]\nsecret_file = "secret"\n')
        assert set(mistakes(good)) == {"tls.certificate_file", "tls.key_file"}

    def test_a_weak_key(self, good: Path, tmp_path: Path) -> None:
        self_signed(tmp_path, rsa.generate_private_key(65537, 1024))
        assert "weak" in mistakes(good)["tls.certificate_file"].problem

    def test_an_expired_certificate(self, good: Path, tmp_path: Path) -> None:
        self_signed(tmp_path, days=-1)
        assert "expired" in mistakes(good)["tls.certificate_file"].problem

    def test_a_key_of_another_certificate(self, good: Path, tmp_path: Path) -> None:
        certificate = (tmp_path / "tls.pem").read_bytes()
        self_signed(tmp_path)
        (tmp_path / "tls.pem").write_bytes(certificate)
        assert "belong together" in mistakes(good)["tls"].problem


@pytest.mark.parametrize("content", ["[listen", "\udcff", "keys = 3", "[keys]\nA = 1"])
def test_a_file_that_cannot_be_used_is_a_mistake_and_no_crash(good: Path, content: str) -> None:
    good.write_bytes(content.encode(errors="surrogateescape"))
    assert mistakes(good)


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(tmp_path / "nowhere.toml")
    assert "cannot be read" in found["file"].problem
    assert set(found) == {"file"}  # nothing is said of settings that nobody wrote


def test_auto_is_a_worker_for_each_core_that_may_be_used(good: Path) -> None:
    auto = load(good, CONCLAVE_MEDIA__WORKERS="auto").media
    assert auto.workers == len(os.sched_getaffinity(0))


def test_ports_are_told_as_a_person_writes_them(good: Path) -> None:
    assert load(good).media.ports == "7882"
    assert load(good, CONCLAVE_MEDIA__WORKERS="4").media.ports == "7882-7885"


class TestDevelopment:
    def test_the_ports_of_all_workers_are_free_there_too(self) -> None:
        with pytest.raises(ConfigError) as caught:
            config.load_development(
                {"listen": {"port": 7000}, "admin": {"port": 7001}},
                {
                    "CONCLAVE_MEDIA__BIND": "127.0.0.1",
                    "CONCLAVE_MEDIA__PORT": "6999",
                    "CONCLAVE_MEDIA__WORKERS": "3",
                },
            )
        assert [mistake.key for mistake in caught.value.mistakes] == ["media.workers"]

    @pytest.mark.parametrize(
        ("variable", "key"),
        [
            ("CONCLAVE_LISTEN__HOST", "listen.host"),
            ("CONCLAVE_ADMIN__HOST", "admin.host"),
            ("CONCLAVE_MEDIA__BIND", "media.bind[0]"),
        ],
    )
    def test_it_serves_this_machine_only(self, variable: str, key: str) -> None:
        defaults = {"media": {"bind": ["127.0.0.1"]}}
        assert config.load_development(defaults, {})
        with pytest.raises(ConfigError) as caught:
            config.load_development(defaults, {variable: "0.0.0.0"})
        assert [mistake.key for mistake in caught.value.mistakes] == [key]


def self_signed(
    folder: Path, key: rsa.RSAPrivateKey | None = None, *, days: int = 30
) -> tuple[Path, Path]:
    """A certificate for localhost and its key, mode 0600, valid for `days` more."""
    private = key if key is not None else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=400)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=400 + days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate_file, key_file = folder / "tls.pem", folder / "tls.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file
