"""A boto3 SQS client that speaks the query protocol, as SDKs did before November 2023.

botocore can still write and read that protocol; only its model of SQS has moved on to JSON. The names that elements
have in XML and in form bodies, which the JSON model no longer carries, are put back here.
"""

import copy
import json
import pathlib

import boto3
from botocore.config import Config
from botocore.loaders import Loader

# list shape -> what one element of it is called
ELEMENTS = {
    "AWSAccountIdList": "AWSAccountId",
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "BinaryList": "BinaryListValue",
    "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
    "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
    "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
    "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageList": "Message",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl",
    "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
    "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
    "StringList": "StringListValue",
    "TagKeyList": "TagKey",
}
# map shape -> what key and value of an entry are called
ENTRIES = {
    "MessageBodyAttributeMap": ("Name", "Value"),
    "MessageBodySystemAttributeMap": ("Name", "Value"),
    "MessageSystemAttributeMap": ("Name", "Value"),
    "QueueAttributeMap": ("Name", "Value"),
    "TagMap": ("Key", "Value"),
}
# map shape -> what an entry as a whole is called, wherever a structure holds such a map
MEMBERS = {
    "MessageBodyAttributeMap": "MessageAttribute",
    "MessageBodySystemAttributeMap": "MessageSystemAttribute",
    "MessageSystemAttributeMap": "Attribute",
    "QueueAttributeMap": "Attribute",
    "TagMap": "Tag",
}
# error shape -> its code in the query protocol, where that differs from the shape's name
CODES = {
    "BatchEntryIdsNotDistinct": "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
    "BatchRequestTooLong": "AWS.SimpleQueueService.BatchRequestTooLong",
    "EmptyBatchRequest": "AWS.SimpleQueueService.EmptyBatchRequest",
    "InvalidBatchEntryId": "AWS.SimpleQueueService.InvalidBatchEntryId",
    "MessageNotInflight": "AWS.SimpleQueueService.MessageNotInflight",
    "PurgeQueueInProgress": "AWS.SimpleQueueService.PurgeQueueInProgress",
    "QueueDeletedRecently": "AWS.SimpleQueueService.QueueDeletedRecently",
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    "TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    "UnsupportedOperation": "AWS.SimpleQueueService.UnsupportedOperation",
}


def query_model():
    """botocore's model of SQS, turned back into one of the query protocol."""
    model = copy.deepcopy(Loader().load_service_model("sqs", "service-2"))
    metadata = model["metadata"]
    for word in ("awsQueryCompatible", "jsonVersion", "targetPrefix"):
        metadata.pop(word)
    metadata.update(protocol="query", protocols=["query"], xmlNamespace="http://queue.amazonaws.com/doc/2012-11-05/")
    shapes = model["shapes"]
    for name, element in ELEMENTS.items():
        shapes[name]["flattened"] = True
        shapes[name]["member"]["locationName"] = element
    for name, (key, value) in ENTRIES.items():
        shapes[name]["key"]["locationName"] = key
        shapes[name]["value"]["locationName"] = value
    for name, code in CODES.items():
        shapes[name]["error"] = {"code": code, "senderFault": True}
    for shape in shapes.values():
        for member in shape.get("members", {}).values():
            if member["shape"] in MEMBERS:
                member["locationName"] = MEMBERS[member["shape"]]
    for name, operation in model["operations"].items():
        if "output" in operation:
            operation["output"]["resultWrapper"] = name + "Result"
    return model


def query_client(folder, **settings):
    """An SQS client over the query protocol. `folder` takes the model; `settings` are those of boto3.client."""
    place = pathlib.Path(folder) / "sqs" / "2012-11-05"
    if not place.exists():
        place.mkdir(parents=True)
        (place / "service-2.json").write_text(json.dumps(query_model()))
    session = boto3.session.Session()
    session._session.get_component("data_loader").search_paths.insert(0, str(folder))
    config = Config(ignore_configured_endpoint_urls=True).merge(settings.pop("config", Config()))
    client = session.client("sqs", config=config, **settings)

    def send_to_the_queue_url(params, **_):
        # These SDKs post to the queue's own URL, not to the root.
        if url := params["body"].get("QueueUrl"):
            params["url"] = url

    client.meta.events.register("before-call.sqs", send_to_the_queue_url)
    return client
