//! What requests say of streams, checked against AWS's model.

use api::{Map, Text, Timestamp};
use kernel::{Arn, Asker, Refusal, Time};
use resources::Faults;
use resources::tags::{Rules, Tags};

use crate::{StreamKey, limits, refusals};

const NAME: &str = "[a-zA-Z0-9_.-]+";
const STREAM_ARN: &str = "arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+";

/// A name of a stream, a shard or a consumer.
pub fn check_name(name: &str, path: &str, faults: &mut Faults) {
    faults.length(name, path, 1, 128);
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    faults.pattern(name, path, NAME, name.bytes().all(of_name));
}

/// A name that has to be there.
pub fn required_name(name: Option<&Text>, path: &str, faults: &mut Faults) -> String {
    let given = faults.required(name.map(|name| &**name), path).to_owned();
    if name.is_some() {
        check_name(&given, path, faults);
    }
    given
}

/// The stream that a request names by its name, its ARN, or both, which must agree. (The texts of these refusals are not recorded of
/// AWS.)
pub fn stream(
    name: Option<&Text>,
    arn: Option<&Text>,
    asker: &Asker<'_>,
    mut faults: Faults,
) -> Result<StreamKey, Refusal> {
    if let Some(name) = name {
        check_name(name, "streamName", &mut faults);
    }
    let of_arn = arn.map(|arn| arn.parse::<Arn>().ok().and_then(|arn| StreamKey::from_arn(&arn)));
    if let (Some(arn), Some(None)) = (arn, &of_arn) {
        faults.pattern(arn, "streamARN", STREAM_ARN, false);
    }
    faults.refusal()?;
    match (name, of_arn.flatten()) {
        (None, None) => Err(refusals::invalid("Either StreamName or StreamARN must be given.")),
        (Some(name), Some(key)) if *key.name != **name => {
            Err(refusals::invalid("StreamName and StreamARN name different streams."))
        }
        (_, Some(key)) => Ok(key),
        (Some(name), None) => Ok(StreamKey {
            account: asker.caller.account.clone(),
            region: asker.caller.region.clone(),
            name: name.to_string(),
        }),
    }
}

/// A number that the model bounds on both sides, if it is given.
pub fn range(value: Option<i32>, path: &str, (least, most): (i32, i32), faults: &mut Faults) {
    if let Some(value) = value {
        faults.range(value, path, least, most);
    }
}

/// One of a few words, which has to be there.
pub fn one_of<'v>(value: Option<&'v Text>, path: &str, words: &[&str], faults: &mut Faults) -> &'v str {
    let given = faults.required(value.map(|value| &**value), path);
    if value.is_some() {
        faults.one_of(given, path, words);
    }
    given
}

/// A moment that a client gives, as the server has it: moments before 1970 count as the first.
pub fn moment(given: Timestamp) -> Time {
    Time(u64::try_from(given.0).unwrap_or(0))
}

/// Tags of a request.
pub fn tags(given: Option<&Map<Text>>) -> Result<Tags, Refusal> {
    const RULES: Rules = Rules { most: limits::TAGS, unique: false, values_reserved: false };
    let pairs = given.iter().flat_map(|map| map.0.iter()).map(|(key, value)| (&**key, &**value));
    RULES.check(pairs).map_err(refusals::invalid)
}

/// Whether a resource has no more tags than it may have.
pub fn check_tag_count(tags: &Tags) -> Result<(), Refusal> {
    match tags.len() <= limits::TAGS {
        true => Ok(()),
        // The text is not recorded of AWS.
        false => Err(refusals::limit_exceeded(format_args!(
            "Failed to add tags: a resource can have {} tags at the most.",
            limits::TAGS
        ))),
    }
}

/// Keys of tags that are to be taken away.
pub fn tag_keys(given: Option<&Vec<Text>>, faults: &mut Faults) -> Vec<String> {
    if given.is_none() {
        faults.missing("tagKeys");
    }
    given.into_iter().flatten().map(ToString::to_string).collect()
}
