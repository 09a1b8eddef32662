//! Tests of every protocol, with receivers that behave well and badly.

mod receiver;

mod https;

mod smtp;

mod destinations;

mod gateway;

mod notary;
