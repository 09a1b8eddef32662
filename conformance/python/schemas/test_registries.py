"""Registries, schemas and their versions, tags and policies (§ 12)."""

import json

import pytest

from schemas.support import ACCOUNT, DRAFT4, OPENAPI, PREFIX, REGION, refused
from sqs.support import unique


def test_a_registry_is_made_shown_changed_listed_and_deleted(schemas):
    name = unique("registry")
    made = schemas.create_registry(RegistryName=name, Description="d", Tags={"k": "v"})
    assert made["RegistryArn"] == f"{PREFIX}registry/{name}"
    assert (made["RegistryName"], made["Description"], made["Tags"]) == (name, "d", {"k": "v"})
    assert refused(schemas.create_registry, RegistryName=name) == (409, "ConflictException")
    assert schemas.update_registry(RegistryName=name, Description="e")["Description"] == "e"
    assert schemas.describe_registry(RegistryName=name)["Description"] == "e"
    listed = schemas.list_registries(RegistryNamePrefix=name)["Registries"]
    assert [one["RegistryArn"] for one in listed] == [made["RegistryArn"]]
    answer = schemas.delete_registry(RegistryName=name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(schemas.describe_registry, RegistryName=name) == (404, "NotFoundException")
    assert refused(schemas.delete_registry, RegistryName=name) == (404, "NotFoundException")


def test_the_registry_of_aws_is_there_for_everybody(schemas):
    shown = schemas.describe_registry(RegistryName="aws.events")
    assert shown["RegistryArn"] == f"arn:aws:schemas:{REGION}::registry/aws.events"
    names = [one["RegistryName"] for one in schemas.list_registries(Scope="AWS")["Registries"]]
    assert names == ["aws.events"]
    local = schemas.get_paginator("list_registries").paginate(Scope="LOCAL")
    assert "aws.events" not in [one["RegistryName"] for page in local for one in page["Registries"]]
    for call, arguments in [
        (schemas.create_registry, {}),
        (schemas.delete_registry, {}),
        (schemas.update_registry, {"Description": "d"}),
    ]:
        assert refused(call, RegistryName="aws.events", **arguments) == (403, "ForbiddenException")
    assert refused(schemas.create_registry, RegistryName="aws.mine") == (403, "ForbiddenException")
    for wrong in ["a b", "x" * 65, "ä"]:
        assert refused(schemas.create_registry, RegistryName=wrong) == (400, "BadRequestException")


def test_registries_are_listed_page_by_page(schemas):
    prefix = unique("many")
    names = [f"{prefix}-{number}" for number in range(3)]
    for name in names:
        schemas.create_registry(RegistryName=name)
    pages = schemas.get_paginator("list_registries").paginate(
        RegistryNamePrefix=prefix, PaginationConfig={"PageSize": 2}
    )
    listed = [[one["RegistryName"] for one in page["Registries"]] for page in pages]
    assert listed == [names[:2], names[2:]]
    assert refused(schemas.list_registries, NextToken="?") == (400, "BadRequestException")


def test_a_changed_schema_has_another_version(schemas, registry):
    of = {"RegistryName": registry, "SchemaName": "shop@Order"}
    made = schemas.create_schema(**of, Type="OpenApi3", Content=OPENAPI, Description="d", Tags={"k": "v"})
    assert made["SchemaArn"] == f"{PREFIX}schema/{registry}/shop@Order"
    assert (made["SchemaVersion"], made["Type"], made["Tags"]) == ("1", "OpenApi3", {"k": "v"})
    assert made["LastModified"] == made["VersionCreatedDate"]
    assert refused(schemas.create_schema, **of, Type="OpenApi3", Content=OPENAPI) == (409, "ConflictException")
    same = schemas.update_schema(**of, Type="OpenApi3", Content=OPENAPI, Description="e")
    assert (same["SchemaVersion"], same["Description"]) == ("1", "e")
    for _ in range(2):
        changed = schemas.update_schema(**of, Type="JSONSchemaDraft4", Content=DRAFT4, ClientTokenId="t")
        assert (changed["SchemaVersion"], changed["Type"], changed["Description"]) == ("2", "JSONSchemaDraft4", "e")
    assert schemas.describe_schema(**of)["Content"] == DRAFT4
    first = schemas.describe_schema(**of, SchemaVersion="1")
    assert (first["Content"], first["Type"]) == (OPENAPI, "OpenApi3")
    assert refused(schemas.describe_schema, **of, SchemaVersion="3") == (404, "NotFoundException")
    assert refused(schemas.describe_schema, **of, SchemaVersion="x") == (400, "BadRequestException")
    pages = schemas.get_paginator("list_schema_versions").paginate(**of, PaginationConfig={"PageSize": 1})
    versions = [one for page in pages for one in page["SchemaVersions"]]
    assert [(one["SchemaVersion"], one["Type"]) for one in versions] == [("1", "OpenApi3"), ("2", "JSONSchemaDraft4")]
    [summary] = schemas.list_schemas(RegistryName=registry, SchemaNamePrefix="shop@")["Schemas"]
    assert (summary["SchemaName"], summary["VersionCount"]) == ("shop@Order", 2)
    schemas.delete_schema_version(**of, SchemaVersion="2")
    assert schemas.describe_schema(**of)["SchemaVersion"] == "1"
    assert refused(schemas.delete_schema_version, **of, SchemaVersion="1") == (400, "BadRequestException")
    # The number of a version that is gone is not used again.
    assert schemas.update_schema(**of, Type="JSONSchemaDraft4", Content=DRAFT4)["SchemaVersion"] == "3"
    assert refused(schemas.delete_registry, RegistryName=registry) == (400, "BadRequestException")
    schemas.delete_schema(**of)
    assert refused(schemas.describe_schema, **of) == (404, "NotFoundException")
    schemas.delete_registry(RegistryName=registry)


def test_what_is_no_schema_is_refused(schemas, registry):
    def refusal(name="s", kind="OpenApi3", content=OPENAPI, **more):
        return refused(
            schemas.create_schema, RegistryName=registry, SchemaName=name, Type=kind, Content=content, **more
        )

    bad = (400, "BadRequestException")
    assert refusal(content="{") == bad
    assert refusal(content="{}") == bad
    assert refusal(content=DRAFT4) == bad
    assert refusal(kind="JSONSchemaDraft4", content='{"$schema":"http://json-schema.org/draft-07/schema#"}') == bad
    assert refusal(kind="Avro") == bad
    assert refusal(name="a/b") == bad
    assert refusal(content=json.dumps({"a": "x" * 100_000})) == bad
    assert refusal(Description="x" * 257) == bad
    missing = {"RegistryName": "missing", "SchemaName": "s", "Type": "OpenApi3", "Content": OPENAPI}
    assert refused(schemas.create_schema, **missing) == (404, "NotFoundException")


def test_only_discovered_schemas_are_exported(schemas, registry):
    of = {"RegistryName": registry, "SchemaName": "s"}
    schemas.create_schema(**of, Type="OpenApi3", Content=OPENAPI)
    assert refused(schemas.export_schema, **of, Type="JSONSchemaDraft4") == (403, "ForbiddenException")


def test_code_bindings_are_not_made(schemas, registry):
    of = {"RegistryName": registry, "SchemaName": "s"}
    schemas.create_schema(**of, Type="OpenApi3", Content=OPENAPI)
    status, _ = refused(schemas.put_code_binding, **of, Language="Python36")
    assert status in (400, 404, 501)


def test_schemas_are_found_by_words_of_their_names_and_contents(schemas, registry):
    for name, title in [("shop@Order", "Alpha"), ("shop@Refund", "Beta"), ("depot@Order", "Beta gamma")]:
        content = json.dumps({"openapi": "3.0.0", "info": {"title": title, "version": "1"}, "paths": {}})
        schemas.create_schema(RegistryName=registry, SchemaName=name, Type="OpenApi3", Content=content)

    def found(words):
        answer = schemas.search_schemas(RegistryName=registry, Keywords=words)
        return [one["SchemaName"] for one in answer["Schemas"]]

    assert found("ORDER") == ["depot@Order", "shop@Order"]
    assert found("beta") == ["depot@Order", "shop@Refund"]
    assert found("gamma beta") == ["depot@Order"]
    assert found("delta") == []
    [one] = schemas.search_schemas(RegistryName=registry, Keywords="alpha")["Schemas"]
    assert [version["SchemaVersion"] for version in one["SchemaVersions"]] == ["1"]


@pytest.mark.parametrize("kind", ["registry", "schema", "discoverer"])
def test_everything_has_tags(schemas, registry, discoverer, kind):
    schemas.create_schema(RegistryName=registry, SchemaName="s", Type="OpenApi3", Content=OPENAPI)
    arn = PREFIX + {
        "registry": f"registry/{registry}",
        "schema": f"schema/{registry}/s",
        "discoverer": f"discoverer/{discoverer}",
    }[kind]
    assert schemas.list_tags_for_resource(ResourceArn=arn)["Tags"] == {}
    schemas.tag_resource(ResourceArn=arn, Tags={"a": "1", "b": "2"})
    schemas.tag_resource(ResourceArn=arn, Tags={"b": "3"})
    assert schemas.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"a": "1", "b": "3"}
    schemas.untag_resource(ResourceArn=arn, TagKeys=["a", "missing"])
    assert schemas.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"b": "3"}
    assert refused(schemas.list_tags_for_resource, ResourceArn=arn + "x") == (404, "NotFoundException")
    assert refused(schemas.tag_resource, ResourceArn=arn, Tags={"aws:a": "1"}) == (400, "BadRequestException")


def test_a_policy_is_replaced_by_who_knows_its_revision(schemas, registry):
    assert refused(schemas.get_resource_policy, RegistryName=registry) == (404, "NotFoundException")
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": "schemas:DescribeSchema",
                    "Resource": f"{PREFIX}schema/{registry}/*",
                }
            ],
        }
    )
    first = schemas.put_resource_policy(RegistryName=registry, Policy=policy)
    assert first["Policy"] == policy
    second = schemas.put_resource_policy(RegistryName=registry, Policy=policy, RevisionId=first["RevisionId"])
    assert second["RevisionId"] != first["RevisionId"]
    stale = {"RegistryName": registry, "Policy": policy, "RevisionId": first["RevisionId"]}
    assert refused(schemas.put_resource_policy, **stale) == (412, "PreconditionFailedException")
    assert schemas.get_resource_policy(RegistryName=registry)["RevisionId"] == second["RevisionId"]
    assert refused(schemas.put_resource_policy, RegistryName=registry, Policy="{") == (400, "BadRequestException")
    schemas.delete_resource_policy(RegistryName=registry)
    assert refused(schemas.get_resource_policy, RegistryName=registry) == (404, "NotFoundException")


def test_limits_count_when_they_are_asked_for(strict_endpoint):
    import boto3

    from sqs.conftest import settings

    schemas = boto3.client("schemas", **settings(strict_endpoint))
    for number in range(200):
        schemas.create_registry(RegistryName=f"r{number}")
    assert refused(schemas.create_registry, RegistryName="one-more") == (403, "ForbiddenException")
    assert schemas.describe_registry(RegistryName="r0")["RegistryArn"].endswith(f":{ACCOUNT}:registry/r0")
