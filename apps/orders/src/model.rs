//! What travels: orders as customers write them, commands to the services, and events that tell what has happened.

use serde::{Deserialize, Serialize};
use toolkit::Message;

/// An order as it comes in. Missing fields are read as empty, so that validation can say what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Order {
    /// Chosen by the shop; unique.
    pub order_id: String,
    /// Who buys.
    pub customer_id: String,
    /// Customers of tier `vip` go through the priority queue.
    pub tier: String,
    /// What is bought.
    pub items: Vec<Item>,
    /// In cents; the sum of the items.
    pub total_amount: i64,
    /// How it is paid.
    pub payment: Payment,
    /// The country to ship to, two letters.
    pub country: String,
    /// When the customer sent it, in milliseconds since 1970.
    pub submitted_ms: i64,
}

/// One line of an [`Order`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Item {
    /// What.
    pub product_id: String,
    /// How many.
    pub quantity: i64,
    /// In cents, for one.
    pub unit_price: i64,
}

/// How an order is paid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "method", content = "card")]
pub enum Payment {
    /// Invoiced to the customer's account after shipping; no charge.
    #[default]
    Account,
    /// Charged to this card (a token of the gateway).
    Card(String),
}

/// An order of so many cents or more is large, and handled in a queue of its own.
pub const LARGE_CENTS: i64 = 500_000;

/// Which queue an order goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The standard queue.
    Regular,
    /// The FIFO queue: orders of one customer stay in order.
    Priority,
    /// The queue for special handling.
    Large,
}

impl Route {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Route::Regular => "regular",
            Route::Priority => "priority",
            Route::Large => "large",
        }
    }
}

impl Order {
    /// Which queue this order goes to: VIP customers first, then size.
    pub fn route(&self) -> Route {
        match self.tier.as_str() {
            "vip" => Route::Priority,
            _ if self.total_amount >= LARGE_CENTS => Route::Large,
            _ => Route::Regular,
        }
    }

    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// All that is wrong, for the customer to read.
    pub fn validate(&self) -> Result<(), String> {
        let mut wrong = Vec::new();
        // Both become ids of queues: of deduplication, and of message groups, which have 128 such characters at most.
        if !is_plain(&self.order_id, 100) {
            wrong.push("orderId must have 1 to 100 letters, digits or punctuation marks of ASCII".to_owned());
        }
        if self.customer_id.is_empty() {
            wrong.push("customerId is missing".to_owned());
        }
        if self.payment == Payment::Card(String::new()) {
            wrong.push("payment: the card is missing".to_owned());
        }
        if self.items.is_empty() || self.items.len() > 50 {
            wrong.push("an order has 1 to 50 items".to_owned());
        }
        for item in &self.items {
            if !is_plain(&item.product_id, 100) {
                let some: String = item.product_id.chars().take(100).collect();
                wrong.push(format!(
                    "productId \"{some}\" must have 1 to 100 letters, digits or punctuation marks of ASCII"
                ));
            } else if !(1..=10_000).contains(&item.quantity) || item.unit_price < 0 {
                wrong.push(format!("\"{}\" × {} is no item", item.product_id, item.quantity));
            }
        }
        let products: std::collections::BTreeSet<_> =
            self.items.iter().map(|item| &item.product_id).collect();
        if products.len() < self.items.len() {
            wrong.push("a product stands in two lines".to_owned());
        }
        let lines = self.items.iter().map(|item| item.quantity.checked_mul(item.unit_price));
        let sum = lines.into_iter().try_fold(0_i64, |sum, line| sum.checked_add(line?));
        if sum != Some(self.total_amount) || self.total_amount <= 0 {
            let sum = sum.map_or("beyond all bounds".to_owned(), |sum| sum.to_string());
            wrong.push(format!("totalAmount is {}, the items' sum is {sum}", self.total_amount));
        }
        if self.country.len() != 2 {
            wrong.push("country must have two letters".to_owned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

fn is_plain(id: &str, most: usize) -> bool {
    (1..=most).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Message for Order {
    const TYPES: &'static [&'static str] = &["order.submitted"];
}

/// What has happened to an order. Its name is the message's type, which subscriptions filter by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// The order is valid, and stored.
    #[serde(rename = "order.created")]
    Created,
    /// The order is not valid.
    #[serde(rename = "order.rejected")]
    Rejected,
    /// All of its items are reserved.
    #[serde(rename = "stock.reserved")]
    StockReserved,
    /// At least one item is not there; none is reserved.
    #[serde(rename = "stock.rejected")]
    StockRejected,
    /// It is paid, but its reservation had run out and the stock is gone.
    #[serde(rename = "stock.short")]
    StockShort,
    /// The card was charged.
    #[serde(rename = "payment.succeeded")]
    PaymentSucceeded,
    /// Paid by invoice.
    #[serde(rename = "payment.invoiced")]
    PaymentInvoiced,
    /// The card was not charged and never will be for this order.
    #[serde(rename = "payment.failed")]
    PaymentFailed,
    /// The charge was given back.
    #[serde(rename = "payment.refunded")]
    PaymentRefunded,
    /// On its way to the customer.
    #[serde(rename = "order.shipped")]
    Shipped,
    /// Cannot be shipped there.
    #[serde(rename = "order.undeliverable")]
    Undeliverable,
    /// The end: shipped and paid.
    #[serde(rename = "order.completed")]
    Completed,
    /// The end: all that was done is undone.
    #[serde(rename = "order.cancelled")]
    Cancelled,
    /// A product runs low. The order is the one that made it so.
    #[serde(rename = "inventory.low")]
    InventoryLow,
    /// The state machine wants something done.
    #[serde(rename = "workflow.due")]
    Due,
    /// Messages could not be handled.
    #[serde(rename = "system.dead-letters")]
    DeadLetters,
    /// More messages wait in a queue than should, or it cannot be asked.
    #[serde(rename = "system.queue-unwell")]
    QueueUnwell,
    /// It is well again.
    #[serde(rename = "system.queue-well")]
    QueueWell,
}

impl Happening {
    /// All of them, as they travel.
    pub const TYPES: [&'static str; 18] = {
        let (mut types, mut place) = ([""; 18], 0);
        while place < types.len() {
            types[place] = Happening::ALL[place].as_str();
            place += 1;
        }
        types
    };

    const ALL: [Happening; 18] = [
        Happening::Created,
        Happening::Rejected,
        Happening::StockReserved,
        Happening::StockRejected,
        Happening::StockShort,
        Happening::PaymentSucceeded,
        Happening::PaymentInvoiced,
        Happening::PaymentFailed,
        Happening::PaymentRefunded,
        Happening::Shipped,
        Happening::Undeliverable,
        Happening::Completed,
        Happening::Cancelled,
        Happening::InventoryLow,
        Happening::Due,
        Happening::DeadLetters,
        Happening::QueueUnwell,
        Happening::QueueWell,
    ];

    /// As it travels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Happening::Created => "order.created",
            Happening::Rejected => "order.rejected",
            Happening::StockReserved => "stock.reserved",
            Happening::StockRejected => "stock.rejected",
            Happening::StockShort => "stock.short",
            Happening::PaymentSucceeded => "payment.succeeded",
            Happening::PaymentInvoiced => "payment.invoiced",
            Happening::PaymentFailed => "payment.failed",
            Happening::PaymentRefunded => "payment.refunded",
            Happening::Shipped => "order.shipped",
            Happening::Undeliverable => "order.undeliverable",
            Happening::Completed => "order.completed",
            Happening::Cancelled => "order.cancelled",
            Happening::InventoryLow => "inventory.low",
            Happening::Due => "workflow.due",
            Happening::DeadLetters => "system.dead-letters",
            Happening::QueueUnwell => "system.queue-unwell",
            Happening::QueueWell => "system.queue-well",
        }
    }

    /// Worth a text message to the customer, or to the operators.
    pub fn is_critical(self) -> bool {
        matches!(
            self,
            Happening::Rejected
                | Happening::PaymentFailed
                | Happening::Cancelled
                | Happening::DeadLetters
                | Happening::QueueUnwell
        )
    }
}

/// Something has happened to an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What.
    pub happening: Happening,
    /// To which order.
    pub order_id: String,
    /// Whose.
    pub customer_id: String,
    /// Why, or what more is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The order's total in cents, when it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_cents: Option<i64>,
    /// What the state machine says is due for the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
}

/// What is due for an order, as the state machine sends it to the order service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Due {
    /// What is to be done.
    pub work: Work,
    /// The token of the task, if its end is waited for.
    #[serde(default)]
    pub token: Option<String>,
    /// Why, if the order is not wanted any more.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What a state machine can want done for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// Take the money.
    Charge,
    /// Say that an invoice will come.
    Invoice,
    /// Keep the items.
    Reserve,
    /// Tell the customer that the order is there.
    Confirm,
    /// Take the items out of stock, and ship them.
    Ship,
    /// Put the items back that cannot be shipped.
    Return,
    /// Give the money back.
    Refund,
    /// The end: shipped and paid.
    Complete,
    /// The end: all that was done is undone.
    Cancel,
    /// The end: it was never valid.
    Reject,
}

impl Message for Event {
    const TYPES: &'static [&'static str] = &Happening::TYPES;

    fn message_type(&self) -> &str {
        self.happening.as_str()
    }
}

/// What the inventory is to do with one line of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StockCommand {
    /// What to do.
    pub work: StockWork,
    /// For which order.
    pub order_id: String,
    /// Whose.
    pub customer_id: String,
    /// Where it will be shipped.
    pub country: String,
    /// Which of its lines, from 0.
    pub line: i64,
    /// How many lines the order has.
    pub lines: i64,
    /// The message group, too.
    pub product_id: String,
    /// How many.
    pub quantity: i64,
}

/// What to do with stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StockWork {
    /// Keep it for this order.
    Reserve,
    /// It is paid: take it out.
    Commit,
    /// It is not wanted any more: others may have it.
    Release,
    /// It was taken out and cannot be shipped: put it back.
    Return,
}

impl StockCommand {
    /// What is wrong with it, if anything. The order service's own commands are right; the queue takes anybody's.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), &'static str> {
        let wrongs = [
            (self.order_id.is_empty(), "orderId is missing"),
            (self.product_id.is_empty(), "productId is missing"),
            (self.quantity < 1, "quantity is below 1"),
            (self.lines < 1 || !(0..self.lines).contains(&self.line), "line is not one of the order's lines"),
        ];
        wrongs.into_iter().find(|(is_so, _)| *is_so).map_or(Ok(()), |(_, wrong)| Err(wrong))
    }
}

impl Message for StockCommand {
    const TYPES: &'static [&'static str] =
        &["stock.reserve", "stock.commit", "stock.release", "stock.return"];

    fn message_type(&self) -> &str {
        match self.work {
            StockWork::Reserve => "stock.reserve",
            StockWork::Commit => "stock.commit",
            StockWork::Release => "stock.release",
            StockWork::Return => "stock.return",
        }
    }
}

/// What the payment service is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCommand {
    /// Give the money back, and not take it.
    pub refund: bool,
    /// For which order.
    pub order_id: String,
    /// Whose.
    pub customer_id: String,
    /// How much.
    pub cents: i64,
    /// From which card.
    pub card: String,
}

impl Message for PaymentCommand {
    const TYPES: &'static [&'static str] = &["payment.refund", "payment.charge"];

    fn message_type(&self) -> &str {
        if self.refund { "payment.refund" } else { "payment.charge" }
    }
}

/// What the shipping service is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShipCommand {
    /// Which order.
    pub order_id: String,
    /// Whose.
    pub customer_id: String,
    /// Where to.
    pub country: String,
}

impl Message for ShipCommand {
    const TYPES: &'static [&'static str] = &["shipping.ship"];
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            order_id: "o-1".into(),
            customer_id: "c-1".into(),
            items: vec![Item { product_id: "p-1".into(), quantity: 2, unit_price: 500 }],
            total_amount: 1000,
            country: "DE".into(),
            ..Order::default()
        }
    }

    #[test]
    fn a_customers_tier_comes_before_the_size_of_the_order() {
        let large = Order { total_amount: LARGE_CENTS, ..order() };
        assert_eq!(order().route(), Route::Regular);
        assert_eq!(large.route(), Route::Large);
        assert_eq!(Order { tier: "vip".into(), ..large }.route(), Route::Priority);
    }

    #[test]
    fn validation_names_all_that_is_wrong() {
        assert_eq!(order().validate(), Ok(()));
        let wrong = Order { customer_id: String::new(), total_amount: 1, ..order() }.validate().unwrap_err();
        assert!(wrong.contains("customerId") && wrong.contains("totalAmount"), "{wrong}");
        let huge = Item { product_id: "p-2".into(), quantity: 10_000, unit_price: i64::MAX };
        assert!(Order { items: vec![huge], ..order() }.validate().is_err());
        let no_card = Order { payment: Payment::Card(String::new()), ..order() };
        assert!(no_card.validate().unwrap_err().contains("card"));
        for id in ["", "brass lamp", "löwe", &"x".repeat(101)] {
            let item = Item { product_id: id.to_owned(), ..order().items[0].clone() };
            assert!(
                Order { items: vec![item], ..order() }.validate().unwrap_err().contains("productId"),
                "{id}"
            );
            assert!(
                Order { order_id: id.to_owned(), ..order() }.validate().unwrap_err().contains("orderId"),
                "{id}"
            );
        }
        let twice = Order { items: vec![order().items[0].clone(); 2], total_amount: 2000, ..order() };
        assert!(twice.validate().unwrap_err().contains("two lines"));
    }

    #[test]
    fn an_order_without_most_of_its_fields_is_still_read() {
        let read: Order = serde_json::from_str(r#"{"orderId":"o-9"}"#).unwrap();
        assert_eq!(read.order_id, "o-9");
        assert!(read.validate().is_err());
        let card: Order = serde_json::from_str(r#"{"payment":{"method":"card","card":"tok"}}"#).unwrap();
        assert_eq!(card.payment, Payment::Card("tok".into()));
    }
}
