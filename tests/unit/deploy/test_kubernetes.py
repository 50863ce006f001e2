"""The manifests fit Kubernetes' own schemas, and name only what exists in the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from typer.testing import CliRunner

from api.settings import ApiSettings
from deploy.cli import Suifang, app
from deploy.credential_folder import KEYS, LOGIN_DSNS, OWNER_DSN
from tests.setting_names import build_settings, exists_as_a_setting
from tests.unit.deploy.test_compose import SECRETS

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
BASE: dict[str, Any] = yaml.safe_load((FOLDER / "base/kustomization.yaml").read_text("utf-8"))
FILES = sorted(path for path in (FOLDER / "base").glob("*.yaml") if path.stem != "kustomization")
OVERLAY = (FOLDER / "overlays/example/kustomization.yaml").read_text("utf-8")
VERSION = "1.34"  # Of the schemas; what is used here is stable since 1.21.
OPTIONAL = {"notify.yaml"}  # It needs a channel first; an overlay adds it.


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in FILES:
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            yield f"{path.stem}-{document['kind']}-{document['metadata']['name']}", document


DOCUMENTS = dict(documents())
WORKLOADS = {n: d for n, d in DOCUMENTS.items() if d["kind"] in {"StatefulSet", "Deployment"}}
PODS = {n: d["spec"]["template"] for n, d in DOCUMENTS.items() if "template" in d.get("spec", {})}
CONTAINERS = {
    f"{name}-{one['name']}": one
    for name, pod in PODS.items()
    for one in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", []))
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_schema_of_its_kind_takes_it_strictly(name: str) -> None:
    kubernetes_validate.validate(DOCUMENTS[name], VERSION, strict=True)


def test_the_validator_finds_a_misspelt_field() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(next(iter(WORKLOADS.values()))))
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 1

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_the_base_names_every_file_and_one_version() -> None:
    assert set(BASE["resources"]) == {path.name for path in FILES} - OPTIONAL
    assert {one["image"] for one in CONTAINERS.values()} == {"suifang"}
    assert BASE["images"] == [{"name": "suifang", "newTag": "0.1.0"}]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_as_restricted_as_kubernetes_knows(name: str) -> None:
    spec = PODS[name]["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_writes_nowhere_and_has_its_share(name: str) -> None:
    one = CONTAINERS[name]

    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert one["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in one["resources"]["limits"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_commands_and_settings_exist_and_secrets_are_files(name: str) -> None:
    one = CONTAINERS[name]
    assert one["args"][0] in Suifang.COMMANDS
    words = [word for word in one["args"] if not word.startswith("/")]
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0
    settings = {each["name"] for each in one["env"]} - {"CREDENTIALS_DIRECTORY"}
    for literal in BASE["configMapGenerator"][0]["literals"]:
        settings.add(literal.partition("=")[0])
    for setting in settings:
        assert exists_as_a_setting(setting), setting
        assert not any(word in setting for word in ("DSN", "PASSWORD", "SECRET"))


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_process_takes_what_its_pod_gives_it(name: str, tmp_path: Path) -> None:
    spec = PODS[name]["spec"]
    (one,) = spec["containers"]
    volumes = {each["name"]: each for each in spec["volumes"]}
    mounted = {
        f"{mount['mountPath']}/{file}": file
        for mount in one["volumeMounts"]
        for file in files_of(volumes[mount["name"]])
    }
    environment = {each["name"]: each.get("value", "ingest-0") for each in one["env"]}
    for literal in BASE["configMapGenerator"][0]["literals"]:
        setting, _, value = literal.partition("=")
        if setting.startswith(f"{one['name'].upper()}_"):  # Others do not look at it.
            environment[setting] = value

    build_settings(one["args"][0], environment, mounted, tmp_path)


def files_of(volume: dict[str, Any]) -> list[str]:
    """Its files: those it names, or all that the overlay's head puts in."""
    secret, config = volume.get("secret", {}), volume.get("configMap", {})
    if "items" in secret:
        return [each["path"] for each in secret["items"]]
    kind, name = ("secret generic", secret.get("secretName")) if secret else ("configmap", None)
    made = re.findall(rf"create {kind} {name or config.get('name')} (--from-file.*)", OVERLAY)
    assert made or "emptyDir" in volume, volume
    return [Path(each).name for line in made for each in re.findall(r"--from-file=(\S+)", line)]


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_mounts_the_secrets_of_its_process_only(name: str) -> None:
    volumes = {each["name"]: each for each in PODS[name]["spec"]["volumes"]}
    items = volumes["secrets"]["secret"]["items"]

    assert all(each["key"] == each["path"] for each in items)
    assert {each["key"] for each in items} < SECRETS
    process = WORKLOADS[name]["metadata"]["name"].upper()
    assert all(each["key"].startswith(f"{process}_") or each["key"] in KEYS for each in items)


def test_the_migration_has_the_owner_s_password_and_those_it_applies_only() -> None:
    (volume,) = (
        each["secret"]
        for each in PODS["migrate-Job-migrate"]["spec"]["volumes"]
        if each["name"] == "secrets"
    )

    assert {each["key"] for each in volume["items"]} == {OWNER_DSN, *LOGIN_DSNS}
    assert all(each["key"] == each["path"] for each in volume["items"])


def test_mail_may_leave_by_both_of_its_ports() -> None:
    (rule,) = DOCUMENTS["network-NetworkPolicy-receivers"]["spec"]["egress"]

    assert {each["port"] for each in rule["ports"]} == {443, 465, 587}


@pytest.mark.parametrize("name", WORKLOADS)
def test_probes_ask_ports_that_the_process_opens(name: str) -> None:
    (one,) = PODS[name]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in one["ports"]}
    settings = {each["name"]: each.get("value") for each in one["env"]}

    assert str(ports["metrics"]) in settings.values()
    assert one["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    # The API's own /readyz is 503 while the dispatcher lags: no reason to take the console away.
    assert one["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert ports.get("http") in {None, ApiSettings.model_fields["port"].default}
    assert WORKLOADS[name]["spec"]["selector"]["matchLabels"] == PODS[name]["metadata"]["labels"]


def test_ingest_has_stable_names_leaves_when_it_is_stopped_and_has_time_for_it() -> None:
    document = WORKLOADS["ingest-StatefulSet-ingest"]
    spec = document["spec"]["template"]["spec"]
    settings = {each["name"]: each for each in spec["containers"][0]["env"]}

    assert settings["INGEST_BROKER__CLIENT_ID"]["valueFrom"] == {
        "fieldRef": {"fieldPath": "metadata.name"}
    }
    assert settings["INGEST_BROKER__LEAVE_ON_STOP"]["value"] == "true"
    stops_s = 2 * int(settings["INGEST_SHUTDOWN_S_MAX"]["value"])  # Draining, then the writer.
    assert stops_s <= spec["terminationGracePeriodSeconds"] - 10
    assert document["spec"]["replicas"] >= 2


def test_what_must_not_stand_still_is_taken_one_at_a_time() -> None:
    budgets = {
        d["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]: d["spec"]["maxUnavailable"]
        for d in DOCUMENTS.values()
        if d["kind"] == "PodDisruptionBudget"
    }
    names = {d["metadata"]["name"] for n, d in WORKLOADS.items() if not n.startswith("notify")}

    assert budgets == dict.fromkeys(names, 1)


def test_everything_is_closed_unless_a_policy_opens_it() -> None:
    policies = [d["spec"] for d in DOCUMENTS.values() if d["kind"] == "NetworkPolicy"]
    closed = [
        each
        for each in policies
        if each["podSelector"] == {} and set(each["policyTypes"]) == {"Ingress", "Egress"}
    ]

    assert len(closed) == 1
    assert "ingress" not in closed[0]


def test_the_overlay_changes_what_is_there() -> None:
    overlay = yaml.safe_load(OVERLAY)
    named = {(d["kind"], d["metadata"]["name"]): d for d in DOCUMENTS.values()}

    for patch in overlay["patches"]:
        found = named[patch["target"]["kind"], patch["target"]["name"]]
        for step in yaml.safe_load(patch["patch"]):
            where: Any = found
            for part in step["path"].strip("/").split("/"):
                where = where[int(part)] if isinstance(where, list) else where[part]
            assert where is not None
    for each in overlay["replicas"]:
        assert ("StatefulSet", each["name"]) in named
