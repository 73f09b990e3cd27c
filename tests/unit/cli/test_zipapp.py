import subprocess
import sys


def test_the_plugin_runs_as_one_file_without_installed_packages(repository, tmp_path):
    target = tmp_path / "kubectl-purpleflea"
    script = repository / "cli" / "build_zipapp.py"
    subprocess.run([sys.executable, script, target], check=True)

    def run(*arguments):
        # -I and -S leave out all installed packages.
        return subprocess.run(
            [sys.executable, "-I", "-S", target, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    assert "halt" in run("--help").stdout
    assert target.stat().st_mode & 0o111
    # Imports the modules of the command, and then those that print.
    done = run("halt", "--reason=x")
    assert (done.returncode, "Name the agents" in done.stderr) == (2, True)
