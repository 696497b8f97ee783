"""The Indexed Job: valid, restricted, and of arguments that the command takes."""

import subprocess
import sys
from pathlib import Path

import check
import pytest
import yaml
from typer.testing import CliRunner

from nearfield_server.cli.program import app

(MANIFEST,) = [one for one in check.MANIFESTS if one.name == "embed-job.yaml"]


@pytest.fixture(scope="module")
def job():
    return yaml.safe_load(MANIFEST.read_text())["spec"]


@pytest.fixture(scope="module")
def container(job):
    (container,) = job["template"]["spec"]["containers"]
    return container


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_kubernetes_takes_it(version):
    validate = Path(sys.executable).with_name("kubernetes-validate")
    if not validate.exists():
        pytest.skip("kubernetes-validate isn't installed")
    command = [validate, "--strict", "--quiet", "--no-warn", "--kubernetes-version", version]
    done = subprocess.run([*command, MANIFEST], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    wrong = MANIFEST.read_text().replace("completionMode", "completionMood")
    done = subprocess.run([*command, "/dev/stdin"], input=wrong, capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_each_index_has_its_file_and_its_tries(job, container):
    assert job["completionMode"] == "Indexed"
    assert job["backoffLimitPerIndex"] > 0
    (index,) = container["env"]
    assert index["name"] == "INDEX"
    assert "job-completion-index" in index["valueFrom"]["fieldRef"]["fieldPath"]
    assert sum("$(INDEX)" in one for one in container["args"]) == 2


@pytest.mark.slow
def test_its_arguments_embed_a_file_and_a_second_pod_does_no_harm(container, server, tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for name in ("texts", "vectors"):
        (tmp_path / name).mkdir()
    pq.write_table(pa.table({"text": ["a dog barks", "a hound bays"], "n": [1, 2]}), tmp_path / "texts/shard-3.parquet")
    arguments = [
        one.replace("$(INDEX)", "3")
        .replace("/texts/", f"{tmp_path}/texts/")
        .replace("/vectors/", f"{tmp_path}/vectors/")
        .replace("nearfield:50051", server.target)
        for one in container["args"]
    ]
    for _ in range(2):
        done = CliRunner().invoke(app, arguments)
        # The column of the texts is carried over too.
        assert done.exit_code == 0, done.output
    table = pq.read_table(tmp_path / "vectors/part-3.parquet")
    assert table.column_names == ["row", "text", "n", "embedding"]


def test_its_pods_keep_to_the_restricted_standard(job, container):
    pod = job["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    writable = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
    assert writable == {"/vectors", "/tmp"}
