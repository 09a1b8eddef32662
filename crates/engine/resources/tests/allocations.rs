//! Evaluating a compiled policy allocates nothing, since services do it for each copy of each message.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use resources::policy::{Policy, Principal, Verdict};

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Not while a thread ends and its count is gone.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn evaluation_allocates_nothing() {
    let policy = Policy::compile(
        r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "NotPrincipal": {"Service": "s3.amazonaws.com"}, "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Principal": "*", "NotAction": "kinesis:*", "NotResource": "arn:aws:s3:::*"},
            {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "kinesis:Put*",
             "Resource": "arn:aws:kinesis:*:${aws:SourceAccount}:stream/*", "Condition": {
                "ArnLike": {"aws:SourceArn": "arn:aws:s3:::${x:bucket, 'bucket'}*"},
                "StringEqualsIgnoreCase": {"aws:PrincipalServiceName": "S3.amazonaws.com"},
                "NumericLessThan": {"x:number": 10},
                "DateGreaterThan": {"aws:EpochTime": "2020-01-01T00:00:00Z"},
                "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
                "ForAllValues:StringLike": {"aws:TagKeys": ["a*", "b?"]},
                "Bool": {"aws:PrincipalIsAWSService": "true"},
                "Null": {"aws:SourceVpc": "true"}
             }}
        ]}"#,
    );
    let keys: [(&str, &[&str]); 6] = [
        ("aws:SourceArn", &["arn:aws:s3:::bucket-1"]),
        ("aws:SourceAccount", &["111111111111"]),
        ("aws:SourceIp", &["10.1.2.3"]),
        ("aws:EpochTime", &["1796029200"]),
        ("aws:TagKeys", &["abc", "bc"]),
        ("x:number", &["9.5"]),
    ];
    let stream = "arn:aws:kinesis:us-east-1:111111111111:stream/s";
    let before = ALLOCATIONS.get();
    let verdict =
        policy.evaluate(&Principal::Service("s3.amazonaws.com"), "kinesis:PutRecord", stream, &keys);
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(verdict, Verdict::Allowed);
    assert!(before > 0, "compiling allocates, so allocations are counted");
}
