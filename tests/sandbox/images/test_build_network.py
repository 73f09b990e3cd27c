from pathlib import Path

import pytest

from purpleflea_sandbox.images import build_network


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def pip_conf(home: Path, **environment: str) -> list[str]:
    secrets = build_network.secrets(home, {"HOME": str(home), **environment})
    return secrets.files["pip_conf"].read_text().splitlines()


def test_the_build_uses_the_index_of_this_machine(home: Path) -> None:
    lines = pip_conf(home, PIP_INDEX_URL="https://mirror.example/simple")
    assert "index-url = https://mirror.example/simple" in lines


def test_the_environment_overrides_the_files_of_the_user(home: Path) -> None:
    user = home / ".config" / "pip" / "pip.conf"
    user.parent.mkdir(parents=True)
    user.write_text(
        "[global]\nindex-url = https://file.example\nproxy = http://proxy.example:3128\n"
    )
    lines = pip_conf(home, PIP_INDEX_URL="https://environment.example")
    assert "index-url = https://environment.example" in lines
    assert "proxy = http://proxy.example:3128" in lines


def test_several_values_stay_one_setting(home: Path) -> None:
    user = home / ".pip" / "pip.conf"
    user.parent.mkdir()
    user.write_text("[install]\nextra-index-url =\n    https://a.example\n    https://b.example\n")
    assert "extra-index-url = https://a.example https://b.example" in pip_conf(home)


def test_folders_of_this_machine_are_not_passed_to_the_build(home: Path) -> None:
    text = "\n".join(pip_conf(home, PIP_FIND_LINKS="/opt/wheels", PIP_TARGET="/elsewhere"))
    assert "/opt/wheels" not in text
    assert "/elsewhere" not in text


def test_the_certificates_have_the_path_inside_the_build(home: Path) -> None:
    bundle = home / "ca.crt"
    bundle.write_text("certificates")
    secrets = build_network.secrets(home, {"HOME": str(home), "PIP_CERT": str(bundle)})
    assert secrets.files["ca_bundle"] == bundle
    assert "cert = /run/secrets/ca_bundle" in secrets.files["pip_conf"].read_text()
    assert secrets.options() == (
        f"--secret=id=pip_conf,src={home / 'pip.conf'}",
        f"--secret=id=ca_bundle,src={bundle}",
    )


def test_only_the_owner_may_read_the_settings(home: Path) -> None:
    secrets = build_network.secrets(home, {"HOME": str(home)})
    assert secrets.files["pip_conf"].stat().st_mode & 0o777 == 0o600
