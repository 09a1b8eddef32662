//! Which resources a Task state can name, and how a definition is read and checked.

use kernel::Refusal;
use resources::Faults;
use states_language::{Diagnostics, Pattern, Resource, StateMachine, Target};

use crate::{limits, refusals, steps};

/// The optimized integrations that AWS has: a closed list (facts/stepfunctions.md § 21; the service's page "Integrating optimized
/// services"). An action of `*` is any.
const OPTIMIZED: &[(&str, &[&str])] = &[
    ("apigateway", &["invoke"]),
    ("athena", &["startQueryExecution", "stopQueryExecution", "getQueryExecution", "getQueryResults"]),
    ("batch", &["submitJob"]),
    ("bedrock", &["createModelCustomizationJob", "invokeModel"]),
    (
        "codebuild",
        &[
            "startBuild",
            "stopBuild",
            "batchDeleteBuilds",
            "batchGetReports",
            "startBuildBatch",
            "stopBuildBatch",
            "retryBuildBatch",
            "deleteBuildBatch",
        ],
    ),
    ("databrew", &["startJobRun"]),
    ("dynamodb", &["getItem", "putItem", "deleteItem", "updateItem"]),
    ("ecs", &["runTask"]),
    (
        "elasticmapreduce",
        &[
            "createCluster",
            "terminateCluster",
            "addStep",
            "cancelStep",
            "setClusterTerminationProtection",
            "modifyInstanceFleetByName",
            "modifyInstanceGroupByName",
        ],
    ),
    ("emr-containers", &["createVirtualCluster", "deleteVirtualCluster", "startJobRun"]),
    (
        "emr-serverless",
        &[
            "createApplication",
            "startApplication",
            "stopApplication",
            "deleteApplication",
            "startJobRun",
            "cancelJobRun",
        ],
    ),
    (
        "eks",
        &[
            "call",
            "runJob",
            "createCluster",
            "deleteCluster",
            "createFargateProfile",
            "deleteFargateProfile",
            "createNodegroup",
            "deleteNodegroup",
        ],
    ),
    ("events", &["putEvents"]),
    ("glue", &["startJobRun"]),
    ("lambda", &["invoke"]),
    ("mediaconvert", &["createJob"]),
    (
        "sagemaker",
        &[
            "createTrainingJob",
            "createTransformJob",
            "createEndpoint",
            "createEndpointConfig",
            "createHyperParameterTuningJob",
            "createLabelingJob",
            "createModel",
            "createProcessingJob",
            "updateEndpoint",
        ],
    ),
    ("sns", &["publish"]),
    ("sqs", &["sendMessage"]),
    ("states", &["startExecution"]),
];

/// Services whose optimized integrations wait for the end of a job.
const WITH_JOBS: &[&str] = &[
    "athena",
    "batch",
    "bedrock",
    "codebuild",
    "databrew",
    "ecs",
    "elasticmapreduce",
    "emr-containers",
    "emr-serverless",
    "eks",
    "glue",
    "mediaconvert",
    "sagemaker",
    "states",
];

/// Whether AWS knows a resource of a task. What is known and not served here fails when the task runs.
pub fn recognizes(resource: &Resource) -> bool {
    let Resource::Service { service, action, sdk, pattern } = resource else { return true };
    if *sdk {
        return true;
    }
    let is_known = OPTIMIZED.iter().any(|(name, actions)| name == service && actions.contains(&&**action));
    let is_waited_for = match pattern {
        Pattern::Sync => WITH_JOBS.contains(&&**service),
        Pattern::Sync2 => service == "states",
        Pattern::RequestResponse | Pattern::WaitForTaskToken => true,
    };
    is_known && is_waited_for
}

/// The definition of a request.
pub fn of_request(given: Option<&str>, faults: &mut Faults) -> String {
    let definition = faults.required(given, "definition").to_owned();
    if given.is_some() && definition.len() > limits::DEFINITION_BYTES {
        let most = limits::DEFINITION_BYTES;
        faults.add("…", "definition", &format!("Member must have length less than or equal to {most}"));
    }
    definition
}

/// Reads a definition, with everything that is to be said about it.
pub fn read(text: &str, is_express: bool) -> (Option<StateMachine>, Diagnostics) {
    StateMachine::parse(
        text,
        &Target { express: is_express, recognizes: &recognizes, serves: &steps::serves },
    )
}

/// Checks a definition.
///
/// Errors: it has errors.
pub fn check(text: &str, is_express: bool) -> Result<(), Refusal> {
    match read(text, is_express) {
        (Some(_), _) => Ok(()),
        (None, diagnostics) => Err(refusals::invalid_definition(diagnostics.to_string())),
    }
}
