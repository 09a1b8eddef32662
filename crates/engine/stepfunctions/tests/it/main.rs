//! Stories across operations, told through the API's own shapes (see `world`).

mod world;

mod flows;

mod redrives;

mod restarts;

mod state_tests;

mod tasks;
