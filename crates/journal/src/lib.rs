//! The log on disk: format, recovery, group commit; its storage engines.
