//! Statements that are written once: they mean the same in both databases.

use serde_json::json;
use toolkit::sql::{Database, StoreError, Value, from_json, migrate, take_turns};

use crate::databases::{postgres, sqlite};

const SHOPS: &str = "CREATE TABLE shops (name TEXT PRIMARY KEY, town TEXT, places BIGINT NOT NULL)";

/// Adds shops, or more places to those that are there; gives how many rows were changed.
async fn add<D: Database>(database: &D, rows: &serde_json::Value) -> Result<u64, StoreError> {
    let sql = from_json!(
        D,
        "INSERT INTO shops (name, town, places)
         SELECT value ->> 'name', value ->> 'town', CAST(value ->> 'places' AS BIGINT) FROM ",
        " WHERE TRUE ON CONFLICT (name) DO UPDATE SET places = shops.places + excluded.places"
    );
    database.execute_alone(sql, &[rows.to_string().as_str().into()]).await
}

async fn many_rows_are_one_statement<D: Database>(database: D) {
    migrate(&database, &[SHOPS]).await.unwrap();
    let awkward = "it's \"north\"\\ \n é 🦀 $1 ?";
    let rows = json!([
        { "name": awkward, "town": "a", "places": 1 },
        { "name": "south", "places": 9_007_199_254_740_993i64, "ignored": [1] },
        { "name": "west", "town": null, "places": "-3" },
    ]);
    assert_eq!(add(&database, &rows).await.unwrap(), 3);
    assert_eq!(add(&database, &json!([])).await.unwrap(), 0);
    let more = json!([{ "name": "west", "town": "b", "places": 10 }, { "name": "east", "places": 0 }]);
    assert_eq!(add(&database, &more).await.unwrap(), 2);
    // All or none: a null where there may be none.
    assert!(add(&database, &json!([{ "name": "new", "places": 1 }, { "name": "bad" }])).await.is_err());
    assert!(add(&database, &json!("no array, and so one row of nothing")).await.is_err());

    let rows = database.read("SELECT name, town, places FROM shops ORDER BY places", &[]).await.unwrap();
    let rows: Vec<(&str, Option<&str>, i64)> = rows
        .iter()
        .map(|row| (row.text(0).unwrap(), row.maybe_text(1).unwrap(), row.int(2).unwrap()))
        .collect();
    let expected = [
        ("east", None, 0),
        (awkward, Some("a"), 1),
        ("west", None, 7),
        ("south", None, 9_007_199_254_740_993),
    ];
    assert_eq!(rows, expected);

    // Beside other parameters, and as what is looked for.
    let sql = from_json!(
        D,
        "SELECT name FROM shops WHERE places < $2 AND name IN (SELECT value ->> 'name' FROM ",
        ") ORDER BY name"
    );
    let wanted = json!([{ "name": "west" }, { "name": "south" }, { "name": "none" }]).to_string();
    let found = database.read(sql, &[wanted.as_str().into(), Value::Int(100)]).await.unwrap();
    assert_eq!(found.iter().map(|row| row.text(0).unwrap()).collect::<Vec<_>>(), ["west"]);
}

#[tokio::test]
async fn many_rows_from_json_are_one_statement_in_both_databases() {
    let (_folder, pool) = sqlite().await;
    many_rows_are_one_statement(pool).await;
    if let Some((_server, pool)) = postgres().await {
        many_rows_are_one_statement(pool).await;
    }
}

/// Each reads how many shops there are and adds that many places: right only if nobody else is between the two.
async fn transactions_that_take_turns_decide_from_what_the_last_has_written<D: Database>(database: D) {
    migrate(&database, &[SHOPS]).await.unwrap();
    add(&database, &json!([{ "name": "only", "places": 0 }])).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let database = database.clone();
        tasks.spawn(async move {
            let mut transaction = database.begin().await?;
            take_turns::<D>(&mut transaction, "shops").await?;
            let places = D::query(&mut transaction, "SELECT places FROM shops", &[]).await?[0].int(0)?;
            tokio::task::yield_now().await;
            D::execute(&mut transaction, "UPDATE shops SET places = $1", &[(places + 1).into()]).await?;
            D::commit(transaction).await
        });
    }
    let results: Vec<Result<(), StoreError>> = tasks.join_all().await;
    results.into_iter().for_each(|result| result.unwrap());
    let rows = database.read("SELECT places FROM shops", &[]).await.unwrap();
    assert_eq!(rows[0].int(0).unwrap(), 20);
}

#[tokio::test]
async fn transactions_take_turns_in_both_databases() {
    let (_folder, pool) = sqlite().await;
    transactions_that_take_turns_decide_from_what_the_last_has_written(pool).await;
    if let Some((_server, pool)) = postgres().await {
        transactions_that_take_turns_decide_from_what_the_last_has_written(pool).await;
    }
}
