//! Connections and API destinations: how requests are made, how fast, what ends them, and what a crash leaves of all that.

use api::eventbridge::{self as shapes, Request, Response};
use eventbridge::deliveries::{Cause, End, Outcome, Way};
use machine::{Event, Input, Options};

use crate::of;
use crate::story::{Story, entry, target, text, with_letters};

fn basic() -> shapes::CreateConnectionAuthRequestParameters {
    shapes::CreateConnectionAuthRequestParameters {
        basic_auth_parameters: Some(shapes::CreateConnectionBasicAuthRequestParameters {
            username: text("u"),
            password: text("p"),
        }),
        ..Default::default()
    }
}

fn oauth() -> shapes::CreateConnectionAuthRequestParameters {
    shapes::CreateConnectionAuthRequestParameters {
        o_auth_parameters: Some(shapes::CreateConnectionOAuthRequestParameters {
            client_parameters: Some(shapes::CreateConnectionOAuthClientRequestParameters {
                client_id: text("id"),
                client_secret: text("s"),
            }),
            authorization_endpoint: text("https://auth.example.com/"),
            http_method: text("POST"),
            o_auth_http_parameters: None,
        }),
        ..Default::default()
    }
}

impl Story {
    /// The ARN of a new connection.
    fn connect(
        &mut self,
        name: &str,
        kind: &str,
        parameters: shapes::CreateConnectionAuthRequestParameters,
    ) -> String {
        let input = shapes::CreateConnectionInput {
            name: text(name),
            authorization_type: text(kind),
            auth_parameters: Some(parameters),
            ..Default::default()
        };
        let Response::CreateConnection(made) = self.events(Request::CreateConnection(input)).unwrap() else {
            panic!()
        };
        made.connection_arn.unwrap().to_string()
    }

    /// The ARN of a new API destination.
    fn destine(&mut self, name: &str, connection: &str, rate: i32) -> String {
        let input = shapes::CreateApiDestinationInput {
            name: text(name),
            connection_arn: text(connection),
            invocation_endpoint: text("https://example.com/*"),
            http_method: text("POST"),
            invocation_rate_limit_per_second: Some(rate),
            description: None,
        };
        let made = self.events(Request::CreateApiDestination(input)).unwrap();
        let Response::CreateApiDestination(made) = made else { panic!() };
        made.api_destination_arn.unwrap().to_string()
    }

    /// State of a connection, and of an API destination.
    fn states(&mut self, connection: &str, destination: &str) -> (String, String) {
        let input = shapes::DescribeConnectionInput { name: text(connection) };
        let known = self.events(Request::DescribeConnection(input)).unwrap();
        let Response::DescribeConnection(known) = known else { panic!() };
        let input = shapes::DescribeApiDestinationInput { name: text(destination) };
        let active = self.events(Request::DescribeApiDestination(input)).unwrap();
        let Response::DescribeApiDestination(active) = active else { panic!() };
        (known.connection_state.unwrap().to_string(), active.api_destination_state.unwrap().to_string())
    }

    fn attempts(&mut self) -> Vec<u64> {
        self.server.event_attempts.iter().map(|attempt| attempt.number).collect()
    }
}

#[test]
fn a_destination_gets_requests_at_its_rate_whatever_rules_send_to_it() {
    let mut story = Story::new();
    let connection = story.connect("c", "BASIC", basic());
    let slow = story.destine("slow", &connection, 2);
    let fast = story.destine("fast", &connection, 300);
    story.rule("r", "shop", vec![target("1", slow.clone()), target("2", slow.clone())]);
    story.rule("s", "shop", vec![target("1", slow)]);
    story.rule("f", "fast", vec![target("1", fast)]);
    for _ in 0..2 {
        story.put(vec![entry("shop", "{}")]);
    }
    assert_eq!(story.attempts().len(), 2);
    for made in 3..=6 {
        story.now = story.now + 499;
        story.pass_time();
        story.settle();
        assert_eq!(story.attempts().len(), made - 1);
        story.now = story.now + 1;
        story.pass_time();
        story.settle();
        assert_eq!(story.attempts().len(), made);
    }
    story.server.event_attempts.clear();
    for _ in 0..3 {
        story.put(vec![entry("fast", "{}"); 10]);
    }
    assert_eq!(story.attempts().len(), 30, "fewer than a second's worth are sent at once");
}

#[test]
fn an_attempt_knows_its_request_and_its_end_becomes_a_letter() {
    let mut story = Story::new();
    story.create_queue("letters");
    let connection = story.connect("c", "BASIC", basic());
    let destination = story.destine("d", &connection, 300);
    let parameters = shapes::HttpParameters {
        path_parameter_values: Some(vec!["$.detail.id".into()]),
        ..Default::default()
    };
    let to = shapes::Target { http_parameters: Some(parameters), ..target("1", destination.clone()) };
    story.rule("r", "shop", vec![with_letters(to)]);
    for (outcome, cause, code) in [
        (Outcome::Refused, Cause::Answered, "ERROR_FROM_TARGET"),
        (Outcome::Refused, Cause::Throttled, "THROTTLING"),
        (Outcome::Refused, Cause::TimedOut, "TIMEOUT"),
        (Outcome::Refused, Cause::Unreachable, "CONNECTION_FAILURE"),
        (Outcome::Refused, Cause::Unknown, "SDK_CLIENT_ERROR"),
    ] {
        let id = story.put(vec![entry("shop", r#"{"id":7}"#)]).remove(0);
        story.crash();
        story.pass(0);
        let (attempt, parcel) = story.attempt();
        let Way::Request(invocation, parameters) = &attempt.way else { panic!("{attempt:?}") };
        let stored = notification::Notification::decode(&parcel.1).unwrap();
        let request = invocation.request(parameters.as_deref(), &stored.message, "{}");
        assert_eq!(request.url, "https://example.com/7");
        let end = End { cause, ..End::new(outcome, "so") };
        story.ends_so(&attempt, end, Some(parcel));
        let letter = story.letters().remove(0);
        assert_eq!((&letter.0, of(&letter, "ERROR_CODE")), (&id, Some(code)));
        assert_eq!(of(&letter, "TARGET_ARN"), Some(&*destination));
    }
    // The endpoint says when it wants to be tried again, and a crash does not forget it.
    story.put(vec![entry("shop", "{}")]);
    let (attempt, parcel) = story.attempt();
    let end = End { retry_after: Some(90_000), ..End::new(Outcome::Failed, "later") };
    story.ends_so(&attempt, end, Some(parcel));
    story.crash();
    story.pass(89);
    assert_eq!(story.attempts(), [0; 0]);
    story.pass(1);
    assert_eq!(story.attempts().len(), 1);
}

#[test]
fn what_cannot_be_requested_is_not() {
    let mut story = Story::new();
    story.create_queue("letters");
    let connection = story.connect("c", "BASIC", basic());
    let destination = story.destine("d", &connection, 300);
    story.rule("r", "shop", vec![with_letters(target("1", destination))]);
    story.put(vec![entry("shop", "{}")]);
    story.server.event_attempts.clear();
    let deauthorize = shapes::DeauthorizeConnectionInput { name: text("c") };
    story.events(Request::DeauthorizeConnection(deauthorize)).unwrap();
    assert_eq!(story.states("c", "d"), ("DEAUTHORIZED".into(), "INACTIVE".into()));
    story.crash();
    assert_eq!(story.states("c", "d"), ("DEAUTHORIZED".into(), "INACTIVE".into()));
    let (attempt, parcel) = story.attempt();
    let Way::Closed(Outcome::Failed, _) = attempt.way else { panic!("{attempt:?}") };
    story.ends(&attempt, Outcome::Failed, Some(parcel));
    let delete = shapes::DeleteApiDestinationInput { name: text("d") };
    story.events(Request::DeleteApiDestination(delete)).unwrap();
    story.pass(10);
    let (attempt, _) = story.attempt();
    let Way::Closed(Outcome::Refused, _) = attempt.way else { panic!("{attempt:?}") };
    story.put(vec![entry("shop", "{}")]);
    assert_eq!(of(&story.letters().remove(0), "ERROR_CODE"), Some("NO_RESOURCE"));
    // One of the same name is another.
    let other = story.destine("d", &connection, 300);
    story.put(vec![entry("shop", "{}")]);
    assert_eq!(of(&story.letters().remove(0), "ERROR_CODE"), Some("NO_RESOURCE"));
    story.rule("r", "shop", vec![with_letters(target("1", other))]);
    story.server.event_attempts.clear();
    story.put(vec![entry("shop", "{}")]);
    assert_eq!(story.attempts().len(), 1);
}

#[test]
fn a_connection_with_oauth_is_authorized_by_its_first_token() {
    let mut story = Story::new();
    let connection = story.connect("c", "OAUTH_CLIENT_CREDENTIALS", oauth());
    story.destine("d", &connection, 300);
    assert_eq!(story.states("c", "d"), ("AUTHORIZING".into(), "INACTIVE".into()));
    assert_eq!(story.server.authorizations.len(), 1);
    // The answer is lost with the server.
    story.crash();
    let asked = story.server.authorizations.pop_front().unwrap();
    assert!(story.server.authorizations.is_empty());
    let result = |story: &mut Story, version, result| {
        let event = eventbridge::Event::Authorized { connection: asked.connection.clone(), version, result };
        story.handle(Input::Event(Event::Eventbridge(event)));
        story.settle();
    };
    result(&mut story, asked.request.version + 1, Ok(()));
    assert_eq!(story.states("c", "d").0, "AUTHORIZING", "that was with other credentials");
    result(&mut story, asked.request.version, Ok(()));
    assert_eq!(story.states("c", "d"), ("AUTHORIZED".into(), "ACTIVE".into()));
    result(&mut story, asked.request.version, Err("late".into()));
    story.crash();
    assert_eq!(story.states("c", "d"), ("AUTHORIZED".into(), "ACTIVE".into()));
    assert!(story.server.authorizations.is_empty());

    let update = shapes::UpdateConnectionInput {
        name: text("c"),
        auth_parameters: Some(shapes::UpdateConnectionAuthRequestParameters {
            o_auth_parameters: Some(shapes::UpdateConnectionOAuthRequestParameters {
                http_method: text("GET"),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    story.events(Request::UpdateConnection(update)).unwrap();
    let asked = story.server.authorizations.pop_front().unwrap();
    assert!(asked.request.url.contains("client_secret=s"), "what was not said stays");
    let failed = eventbridge::Event::Authorized {
        connection: asked.connection,
        version: asked.request.version,
        result: Err("x".repeat(9000)),
    };
    story.handle(Input::Event(Event::Eventbridge(failed)));
    story.settle();
    assert_eq!(story.states("c", "d"), ("DEAUTHORIZED".into(), "INACTIVE".into()));
}

#[test]
fn connections_and_destinations_outlive_their_segments_and_deleted_ones_stay_away() {
    let mut story = Story::with_segments_of(4 << 10, Options::default());
    story.fill();
    // A segment without what lives on.
    story.grow_old(4);
    let first = story.server.machine.end().segment();
    let connection = story.connect("kept", "BASIC", basic());
    let destination = story.destine("kept", &connection, 7);
    let deleted = story.connect("deleted", "BASIC", basic());
    story.destine("deleted", &deleted, 7);
    story.grow_old(4);
    let delete = shapes::DeleteApiDestinationInput { name: text("deleted") };
    story.events(Request::DeleteApiDestination(delete)).unwrap();
    let delete = shapes::DeleteConnectionInput { name: text("deleted") };
    story.events(Request::DeleteConnection(delete)).unwrap();
    for round in 0.. {
        story.grow_old(60);
        story.crash();
        let events = story.server.machine.eventbridge();
        let connections: Vec<String> = events.connections().map(|it| it.arn()).collect();
        let destinations: Vec<String> = events.destinations().map(|it| it.arn()).collect();
        assert_eq!((connections, destinations), (vec![connection.clone()], vec![destination.clone()]));
        assert_eq!(events.destinations().next().unwrap().rate, 7);
        if round >= 4 && !story.server.machine.ledger().contains(first) {
            break;
        }
        assert!(round < 40, "the segment of the declarations stays");
    }
    story.handle(Input::Reset);
    story.settle();
    story.crash();
    let events = story.server.machine.eventbridge();
    assert_eq!((events.connections().count(), events.destinations().count()), (0, 0));
}
