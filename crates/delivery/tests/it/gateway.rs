//! Parcels with and without a configured webhook.

use bytes::Bytes;
use delivery::{Carrier, Function, Guard, Origin, Outcome, Parcel, Payload, Push, Settings, Sms, Stream};

use crate::receiver::{Answer, Receiver, failure};

fn parcels() -> Vec<Parcel> {
    let origin =
        Origin { at_ms: 17, message_id: "m".into(), topic_arn: Some("t".into()), ..Origin::default() };
    let sms = Sms {
        phone: "+4912345".into(),
        sender_id: Some("Shop".into()),
        kind: "Transactional".into(),
        text: "hello".into(),
    };
    let push = Push {
        platform: "GCM".into(),
        endpoint_arn: "endpoint".into(),
        token: "token".into(),
        custom_user_data: None,
        subject: None,
        payload: "{}".into(),
    };
    let function = Function { function_arn: "function".into(), event: "{\"Records\":[]}".into() };
    let stream = Stream { stream_arn: "stream".into(), data: Bytes::from_static(b"record") };
    [Payload::Sms(sms), Payload::Push(push), Payload::Function(function), Payload::Stream(stream)]
        .map(|payload| Parcel { origin: origin.clone(), payload })
        .into()
}

#[tokio::test]
async fn what_nobody_takes_goes_to_the_outbox() {
    let carrier = Carrier::new(Settings::default()).unwrap();
    for parcel in parcels() {
        assert_eq!(carrier.carry(&parcel).await, Outcome::Delivered { status: None });
    }
    let list: serde_json::Value = serde_json::from_str(&carrier.outbox().list(&Default::default())).unwrap();
    let protocols: Vec<&str> =
        list["parcels"].as_array().unwrap().iter().map(|entry| entry["protocol"].as_str().unwrap()).collect();
    assert_eq!(protocols, ["sms", "application", "lambda", "firehose"]);
}

#[tokio::test]
async fn a_gateway_gets_what_the_outbox_would_show() {
    let receiver = Receiver::start(vec![Answer::status(200)]).await;
    // The operator's own gateway may be a neighbour.
    let with_gateways = Settings {
        guard: Guard::NonPublic,
        sms_gateway: Some(receiver.url()),
        push_gateway: Some(receiver.url()),
        lambda_gateway: Some(receiver.url()),
        firehose_gateway: Some(receiver.url()),
        ..Settings::default()
    };
    let (carrier, without) =
        (Carrier::new(with_gateways).unwrap(), Carrier::new(Settings::default()).unwrap());
    for parcel in parcels() {
        assert_eq!(carrier.carry(&parcel).await, Outcome::Delivered { status: Some(200) });
        without.carry(&parcel).await;
    }
    assert_eq!(carrier.outbox().list(&Default::default()), "{\"parcels\":[],\"dropped\":0}");
    let list: serde_json::Value = serde_json::from_str(&without.outbox().list(&Default::default())).unwrap();
    for (received, shown) in receiver.received().iter().zip(list["parcels"].as_array().unwrap()) {
        assert_eq!(received.header("content-type"), Some("application/json"));
        let mut shown = shown.clone();
        shown.as_object_mut().unwrap().remove("id");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&received.body).unwrap(), shown);
    }
}

#[tokio::test]
async fn a_gateway_s_status_means_what_an_endpoint_s_means() {
    for (status, permanent) in [(400, true), (429, false), (503, false)] {
        let receiver = Receiver::start(vec![Answer::status(status)]).await;
        let settings = Settings { sms_gateway: Some(receiver.url()), ..Settings::default() };
        let carrier = Carrier::new(settings).unwrap();
        let (got, number, _) = failure(carrier.carry(&parcels().remove(0)).await);
        assert_eq!((got, number), (permanent, Some(status)));
        assert_eq!(carrier.outbox().list(&Default::default()), "{\"parcels\":[],\"dropped\":0}");
    }
}

#[test]
fn a_gateway_without_an_address_is_a_mistake_in_the_settings() {
    let settings = Settings { push_gateway: Some("gateway:80".into()), ..Settings::default() };
    let error = Carrier::new(settings).err().unwrap().to_string();
    assert!(error.starts_with("the push gateway cannot be used: "), "{error}");
}
