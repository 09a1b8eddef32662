//! What every protocol promises, with receivers that behave well and badly.

mod receiver;

mod https;

mod smtp;

mod gateway;

mod notary;
