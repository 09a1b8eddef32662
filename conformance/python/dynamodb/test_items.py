"""Items: values, conditions, updates, the older parameters (facts/dynamodb.md § 5 to § 9)."""

import re
from decimal import Decimal

import pytest

from dynamodb.support import failed, make_table, n, refused, s

ENVELOPE = "1 validation error detected: "
WRONG = "One or more parameter values were invalid: "


def put(ddb, table, **attributes):
    ddb.put_item(TableName=table, Item={"pk": s("a")} | attributes)


def get(ddb, table, key="a"):
    return ddb.get_item(TableName=table, Key={"pk": s(key)}, ConsistentRead=True).get("Item")


def test_an_item_of_all_types_comes_back(ddb, table):
    item = {
        "pk": s("a"),
        "s": s(""),
        "n": n("1E+3"),
        "b": {"B": b"\x00\xff"},
        "t": {"BOOL": True},
        "f": {"BOOL": False},
        "z": {"NULL": True},
        "ss": {"SS": ["b", "", "a"]},
        "ns": {"NS": ["10", "9.0", "-1"]},
        "bs": {"BS": [b"z", b""]},
        "l": {"L": [s("x"), {"M": {"ü": s("\"\\\n")}}, {"L": []}]},
        "m": {"M": {}},
    }
    assert "Attributes" not in ddb.put_item(TableName=table, Item=item, ReturnValues="ALL_OLD")
    back = get(ddb, table)
    # Numbers have one form, and sets an order (facts/dynamodb.md § 7).
    assert back == item | {"n": n(1000), "ss": {"SS": ["", "a", "b"]}, "ns": {"NS": ["-1", "9", "10"]}, "bs": {"BS": [b"", b"z"]}}
    assert ddb.put_item(TableName=table, Item={"pk": s("a")}, ReturnValues="ALL_OLD")["Attributes"] == back
    assert ddb.delete_item(TableName=table, Key={"pk": s("a")}, ReturnValues="ALL_OLD")["Attributes"] == {"pk": s("a")}
    assert "Item" not in ddb.get_item(TableName=table, Key={"pk": s("a")})
    assert "Attributes" not in ddb.delete_item(TableName=table, Key={"pk": s("a")}, ReturnValues="ALL_OLD")


def test_values_that_are_refused(ddb, table):
    too_large = {"S": "x" * 409_600}
    deep = s("x")
    for _ in range(32):
        deep = {"L": [deep]}
    for value, text in [
        ({"SS": []}, ENVELOPE + WRONG + "An string set  may not be empty"),
        ({"NS": []}, ENVELOPE + WRONG + "An number set  may not be empty"),
        ({"BS": []}, ENVELOPE + WRONG + "Binary sets should not be empty"),
        ({"SS": ["b", "a", "b"]}, ENVELOPE + WRONG + 'Input collection ["a", "b", "b"] contains duplicates.'),
        ({"NS": ["1", "1.0"]}, ENVELOPE + WRONG + "Input collection contains duplicates."),
        (n("abc"), ENVELOPE + "The parameter cannot be converted to a numeric value: abc"),
        (
            n("1e126"),
            ENVELOPE + "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        (n("1" * 39), ENVELOPE + "Attempting to store more than 38 significant digits in a Number"),
        (too_large, "Item size has exceeded the maximum allowed size"),
    ]:
        assert refused(ddb.put_item, TableName=table, Item={"pk": s("a"), "v": value}) == ("ValidationException", text)
    assert "Nesting Levels have exceeded" in refused(ddb.put_item, TableName=table, Item={"pk": s("a"), "v": deep})[1]
    ddb.put_item(TableName=table, Item={"pk": s("a"), "v": deep["L"][0]})
    assert get(ddb, table)["v"] == deep["L"][0]


def test_keys_that_are_refused(ddb, table):
    for item, text in [
        ({"x": s("a")}, WRONG + "Missing the key pk in the item"),
        ({"pk": n(1)}, WRONG + "Type mismatch for key pk expected: S actual: N"),
        ({"pk": s("x" * 2049)}, WRONG + "Size of hashkey has exceeded the maximum size limit of2048 bytes"),
        (
            {"pk": s("")},
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
            "string value. Key: pk",
        ),
    ]:
        assert refused(ddb.put_item, TableName=table, Item=item) == ("ValidationException", text)
    for key in [{}, {"pk": n(1)}, {"pk": s("a"), "sk": s("b")}, {"x": s("a")}]:
        assert refused(ddb.get_item, TableName=table, Key=key) == (
            "ValidationException",
            "The provided key element does not match the schema",
        )


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("attribute_exists(pk)", True),
        ("attribute_not_exists(pk)", False),
        ("absent <> :one", True),
        ("absent <> absent2", True),
        ("absent = :one", False),
        ("num = :one AND NOT num > :one", True),
        ("num BETWEEN :one AND :two", True),
        ("num IN (:two, :one)", True),
        ("str < :one", False),
        ("begins_with(str, :he)", True),
        ("contains(str, :he) and contains(tags, :he) and contains(items2, :one)", True),
        ("size(str) = :five", True),
        ("size(items2) = :two AND size(absent) <> :two", True),
        ("attribute_type(num, :n)", True),
        ("tags = :tags", True),
        ("deep.a[1].b = :one or deep.a[7] = :one", True),
        ("(num = :one)", True),
        ("#d.#x = :one", False),
    ],
)
def test_conditions(ddb, table, condition, holds):
    put(
        ddb,
        table,
        num=n(1),
        str=s("hello"),
        tags={"SS": ["he", "she"]},
        items2={"L": [n(1), s("x")]},
        deep={"M": {"a": {"L": [s(""), {"M": {"b": n("1.0")}}]}}},
    )
    values = {":one": n(1), ":two": n(2), ":five": n(5), ":he": s("he"), ":n": s("N"), ":tags": {"SS": ["she", "he"]}}
    arguments = {"TableName": table, "Item": {"pk": s("a")}, "ConditionExpression": condition}
    used = {key: value for key, value in values.items() if key in re.split("[ (),]", condition)}
    if used:
        arguments["ExpressionAttributeValues"] = used
    if "#" in condition:
        arguments["ExpressionAttributeNames"] = {"#d": "deep", "#x": "a"}
    if holds:
        ddb.put_item(**arguments)
    else:
        error = failed(ddb.put_item, **arguments, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        assert error["Error"] == {
            "Code": "ConditionalCheckFailedException",
            "Message": "The conditional request failed",
        }
        assert error["Item"]["str"] == s("hello")
        assert "Item" not in failed(ddb.put_item, **arguments)


def test_expressions_that_are_refused(ddb, table):
    e = ENVELOPE + "Invalid ConditionExpression: "
    for condition, values, text in [
        ("", None, e + "The expression can not be empty;"),
        ("a = ", None, e + 'Syntax error; token: "<EOF>", near: "="'),
        ("a = :v", None, e + "An expression attribute value used in expression is not defined; attribute value: :v"),
        ("#a = b", None, e + "An expression attribute name used in the document path is not defined; attribute name: #a"),
        ("end = :v", {":v": s("")}, e + "Attribute name is a reserved keyword; reserved keyword: end"),
        ("f(a)", None, e + "Invalid function name; function: f"),
        (
            "begins_with(a, :v)",
            {":v": n(1)},
            e + "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        ("((a = b))", None, e + "The expression has redundant parentheses;"),
        (
            "contains(data2, data2)",
            None,
            e + "The first operand must be distinct from the remaining operands for this operator or function; operator: "
            "contains, first operand: [data2]",
        ),
        (
            "a BETWEEN :v AND :w",
            {":v": n(5), ":w": n(1)},
            e + "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: "
            "AttributeValue: {N:5}, upper bound operand: AttributeValue: {N:1}",
        ),
        ("a = b", {":v": s("")}, ENVELOPE + "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"),
        (
            "a = b or " * 300 + "a = b",
            None,
            e + "The expression contains too many operators; operator count: 601",
        ),
        ("a" * 4097, None, e + "Expression size has exceeded the maximum allowed size; expression size: 4097"),
    ]:
        arguments = {"ExpressionAttributeValues": values} if values else {}
        got = refused(ddb.put_item, TableName=table, Item={"pk": s("a")}, ConditionExpression=condition, **arguments)
        assert got == ("ValidationException", text)
    got = refused(ddb.put_item, TableName=table, Item={"pk": s("a")}, ConditionExpression="a = b", Expected={})
    assert got[1] == ENVELOPE + (
        "Can not use both expression and non-expression parameters in the same request: "
        "Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"
    )
    got = refused(ddb.get_item, TableName=table, Key={"pk": s("a")}, ProjectionExpression="a.b, a")
    assert got[1] == (
        "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these "
        "paths; path one: [a, b], path two: [a]"
    )


def update(ddb, table, expression, returns="ALL_NEW", key="a", **values):
    arguments = {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}
    answer = ddb.update_item(
        TableName=table, Key={"pk": s(key)}, UpdateExpression=expression, ReturnValues=returns, **arguments
    )
    return answer.get("Attributes")


def test_updates(ddb, table):
    assert update(ddb, table, "SET a = :v, c = if_not_exists(c, :zero)", v=s("x"), zero=n(0))["c"] == n(0)
    # All right-hand sides see the old item.
    new = update(ddb, table, "SET b = a, a = :w, c = c + :one ADD d :one", w=s("y"), one=n(1))
    assert new == {"pk": s("a"), "a": s("y"), "b": s("x"), "c": n(1), "d": n(1)}
    assert update(ddb, table, "ADD c :half, tags :tags", "UPDATED_NEW", half=n("0.5"), tags={"SS": ["x", "y"]}) == {
        "c": n("1.5"),
        "tags": {"SS": ["x", "y"]},
    }
    assert update(ddb, table, "DELETE tags :gone", "UPDATED_OLD", gone={"SS": ["x"]}) == {"tags": {"SS": ["x", "y"]}}
    assert "tags" not in update(ddb, table, "DELETE tags :gone", gone={"SS": ["y", "z"]})
    update(ddb, table, "SET l = :l, m = :m", l={"L": [s("0"), s("1"), s("2")]}, m={"M": {"k": {"M": {}}}})
    new = update(ddb, table, "SET l[9] = :z, l[7] = :y, m.k.j = :y REMOVE l[0]", y=s("y"), z=s("z"))
    assert new["l"] == {"L": [s("1"), s("2"), s("y"), s("z")]} and new["m"] == {"M": {"k": {"M": {"j": s("y")}}}}
    assert update(ddb, table, "SET l = list_append(:l, l)", l={"L": [n(7)]})["l"]["L"][:2] == [n(7), s("1")]
    assert update(ddb, table, "SET m.k.j = :x", "UPDATED_NEW", x=s("n")) == {"m": {"M": {"k": {"M": {"j": s("n")}}}}}
    assert update(ddb, table, "REMOVE a, nothing", "UPDATED_NEW") is None
    # What only takes away makes nothing; without an update there is an item.
    assert update(ddb, table, "REMOVE a", key="none") is None and get(ddb, table, "none") is None
    ddb.update_item(TableName=table, Key={"pk": s("bare")})
    assert get(ddb, table, "bare") == {"pk": s("bare")}


def test_updates_that_are_refused(ddb, table):
    put(ddb, table, num=n(1), str=s("x"))
    e = ENVELOPE + "Invalid UpdateExpression: "
    for expression, values, text in [
        ("SET a = absent", {}, "The provided expression refers to an attribute that does not exist in the item"),
        ("SET a = str + :one", {"one": n(1)}, "An operand in the update expression has an incorrect data type"),
        ("SET a.b = :one", {"one": n(1)}, "The document path provided in the update expression is invalid for update"),
        ("ADD str :one", {"one": n(1)}, "An operand in the update expression has an incorrect data type"),
        ("SET pk = :one", {"one": s("1")}, WRONG + "Cannot update attribute pk. This attribute is part of the key"),
        ("SET a = :one SET b = :one", {"one": n(1)}, e + 'The "SET" section can only be used once in an update expression;'),
        (
            "SET a = :one REMOVE a",
            {"one": n(1)},
            e + "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], "
            "path two: [a]",
        ),
        (
            "ADD a :one",
            {"one": s("x")},
            e + "Incorrect operand type for operator or function; operator: ADD, operand type: STRING",
        ),
        ("INVALID SYNTAX", {}, e + 'Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
        (
            "SET a = list_append(:one)",
            {"one": {"L": []}},
            e + "Incorrect number of operands for operator or function; operator or function: list_append, number of "
            "operands: 1",
        ),
        ("SET a = :big", {"big": s("x" * 409_600)}, "Item size to update has exceeded the maximum allowed size"),
    ]:
        arguments = {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}
        got = refused(
            ddb.update_item, TableName=table, Key={"pk": s("a")}, UpdateExpression=expression, **arguments
        )
        assert got == ("ValidationException", text)
    assert get(ddb, table) == {"pk": s("a"), "num": n(1), "str": s("x")}


def test_the_older_parameters(ddb, table):
    expected = {"pk": {"Exists": False}}
    ddb.put_item(TableName=table, Item={"pk": s("a"), "c": n(1), "t": s("x")}, Expected=expected)
    assert refused(ddb.put_item, TableName=table, Item={"pk": s("a")}, Expected=expected)[0] == (
        "ConditionalCheckFailedException"
    )
    answer = ddb.update_item(
        TableName=table,
        Key={"pk": s("a")},
        Expected={"c": {"ComparisonOperator": "GE", "AttributeValueList": [n(1)]}, "x": {"Value": s("x")}},
        ConditionalOperator="OR",
        AttributeUpdates={
            "c": {"Action": "ADD", "Value": n(4)},
            "t": {"Action": "DELETE"},
            "gone": {"Action": "DELETE"},
            "list": {"Action": "ADD", "Value": {"L": [n(1)]}},
            "dotted.name": {"Value": s("v")},
        },
        ReturnValues="ALL_NEW",
    )
    assert answer["Attributes"] == {"pk": s("a"), "c": n(5), "list": {"L": [n(1)]}, "dotted.name": s("v")}
    not_contains = {"t": {"ComparisonOperator": "NOT_CONTAINS", "AttributeValueList": [s("x")]}}
    assert refused(ddb.delete_item, TableName=table, Key={"pk": s("a")}, Expected=not_contains)[0] == (
        "ConditionalCheckFailedException"
    )
    assert ddb.get_item(TableName=table, Key={"pk": s("a")}, AttributesToGet=["c", "none"])["Item"] == {"c": n(5)}
    assert refused(
        ddb.put_item, TableName=table, Item={"pk": s("a")}, Expected={"c": {"Exists": True}}
    )[1].endswith("Value must be provided when Exists is true for Attribute: c")


def test_units_and_collections(ddb):
    index = {
        "IndexName": "lsi",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "c", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    table = make_table(
        ddb, sk="S", attributes=[{"AttributeName": "c", "AttributeType": "N"}], LocalSecondaryIndexes=[index]
    )
    item = {"pk": s("a"), "sk": s("b"), "c": n(1), "x": s("x" * 2000)}
    answer = ddb.put_item(
        TableName=table, Item=item, ReturnConsumedCapacity="INDEXES", ReturnItemCollectionMetrics="SIZE"
    )
    assert answer["ConsumedCapacity"] == {
        "TableName": table,
        "CapacityUnits": 3.0,
        "Table": {"CapacityUnits": 2.0},
        "LocalSecondaryIndexes": {"lsi": {"CapacityUnits": 1.0}},
    }
    assert answer["ItemCollectionMetrics"] == {"ItemCollectionKey": {"pk": s("a")}, "SizeEstimateRangeGB": [0.0, 1.0]}
    key = {"pk": s("a"), "sk": s("b")}
    for consistent, units in [(True, 1.0), (False, 0.5)]:
        read = ddb.get_item(TableName=table, Key=key, ConsistentRead=consistent, ReturnConsumedCapacity="TOTAL")
        assert read["ConsumedCapacity"] == {"TableName": table, "CapacityUnits": units}
    assert refused(ddb.put_item, TableName=table, Item=item | {"c": s("1")}) == (
        "ValidationException",
        WRONG + "Type mismatch for Index Key c Expected: N Actual: S IndexName: lsi",
    )


def test_python_s_own_values(resource, table):
    """What boto3's resources send: numbers as `Decimal` writes them, names and values as its conditions write them."""
    from boto3.dynamodb.conditions import Attr

    items = resource.Table(table)
    items.put_item(Item={"pk": "a", "n": Decimal("1E+3"), "set": {1, 2}}, ConditionExpression=Attr("pk").not_exists())
    assert items.get_item(Key={"pk": "a"})["Item"] == {"pk": "a", "n": Decimal(1000), "set": {1, 2}}
    with items.batch_writer() as batch:
        for number in range(60):
            batch.put_item(Item={"pk": str(number)})
    assert items.scan(FilterExpression=Attr("n").gte(1000) & Attr("set").contains(2))["Count"] == 1
