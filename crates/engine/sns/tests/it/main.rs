//! Stories across operations, told through the API's own shapes (see `world`).

mod world;

mod topics;

mod subscriptions;

mod platforms;

mod text_messages;

mod replay;
