"""The rights of a release's pods: enough for what the templates do, and no more.

Left out: that an API server grants them.
"""

import pytest

from fairway_workflows.canary import CanaryOptions, build
from fairway_workflows.rbac import BACK_ENDS, accounts, back_end, tekton, tekton_accounts
from fairway_workflows.safety import Safety

SAFETY = Safety()
BASE = accounts(SAFETY)
ALL = [*BASE, *(document for name in BACK_ENDS for document in back_end(name, SAFETY))]


def named(kind, documents=BASE):
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == kind}


def allowed(role):
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_a_reporter_may_only_hand_over_outputs():
    assert allowed(named("Role")["fairway-reporter"]) == {("argoproj.io", "workflowtaskresults"): {"create", "patch"}}


def test_a_releaser_keeps_the_record_and_looks_at_workloads():
    assert allowed(named("Role")["fairway-releaser"]) == {
        ("argoproj.io", "workflowtaskresults"): {"create", "patch"},
        ("", "configmaps"): {"get", "create", "patch"},
        ("apps", "deployments"): {"get", "list", "watch", "patch"},
        ("", "services"): {"get", "list", "watch", "patch"},
        ("", "pods"): {"list", "watch"},
        ("discovery.k8s.io", "endpointslices"): {"list", "watch"},
        ("autoscaling", "horizontalpodautoscalers"): {"list"},
        ("keda.sh", "scaledobjects"): {"get"},
        ("", "events"): {"create", "patch"},
    }


@pytest.mark.parametrize("name", sorted(set(BACK_ENDS) - {"deletion"}))
def test_a_back_end_adds_reading_and_patching_of_its_kinds(name):
    (role,) = named("Role", back_end(name, SAFETY)).values()
    assert all(verbs <= {"get", "list", "watch", "patch"} for verbs in allowed(role).values())
    assert any("patch" in verbs for verbs in allowed(role).values())


def test_deleting_versions_is_a_role_of_its_own():
    (role,) = named("Role", back_end("deletion", SAFETY)).values()
    assert {verb for verbs in allowed(role).values() for verb in verbs} == {"delete"}


def test_no_right_is_for_everything_secret_or_final():
    for document in [*BASE, *(d for name in BACK_ENDS if name != "deletion" for d in back_end(name, SAFETY))]:
        for rule in document.get("rules", []):
            assert not {"*", "delete", "deletecollection", "escalate", "bind", "impersonate"} & set(rule["verbs"])
            assert not {"*", "secrets", "pods/exec"} & set(rule["resources"])
            assert "pods" not in rule["resources"] or set(rule["verbs"]) <= {"list", "watch"}
            assert "*" not in rule["apiGroups"]
    assert {document["kind"] for document in ALL} == {"ServiceAccount", "Role", "RoleBinding"}


def test_every_role_is_bound_to_an_account_that_there_is():
    bindings = named("RoleBinding", ALL)
    assert set(bindings) == set(named("Role", ALL))
    for name, binding in bindings.items():
        assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        assert {subject["name"] for subject in binding["subjects"]} <= set(named("ServiceAccount"))


def test_the_templates_run_under_these_accounts():
    spec = build(CanaryOptions(load_test="beside")).to_dict()["spec"]
    used = {template.get("serviceAccountName", spec["serviceAccountName"]) for template in spec["templates"]}
    assert used == set(named("ServiceAccount"))


def test_tekton_gives_the_same_rights_but_those_to_argo():
    made = tekton_accounts(SAFETY)
    ours, argos = allowed(named("Role", made)["fairway-tekton"]), allowed(named("Role")["fairway-releaser"])
    assert ours == {what: verbs for what, verbs in argos.items() if what[0] != "argoproj.io"}
    (binding,) = named("RoleBinding", made).values()
    assert [one["name"] for one in binding["subjects"]] == list(named("ServiceAccount", made)) == ["fairway-tekton"]


def test_argo_and_tekton_share_no_name_so_that_both_can_be_installed():
    theirs = [*tekton_accounts(SAFETY), *(one for name in BACK_ENDS for one in back_end(name, tekton(SAFETY)))]
    assert not {(one["kind"], one["metadata"]["name"]) for one in ALL} & {
        (one["kind"], one["metadata"]["name"]) for one in theirs
    }
    subjects = [one["subjects"] for one in theirs if one["kind"] == "RoleBinding"]
    assert {one["name"] for listed in subjects for one in listed} == {"fairway-tekton"}
