//! Long lists, told page by page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::Refusal;

use crate::{limits, refusals};

/// Which part of a list is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// What comes after the item of this key; absent: the beginning.
    pub after: Option<String>,
    /// So many at the most.
    pub most: usize,
}

/// A part of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// How to go on, if there is more.
    pub next_token: Option<String>,
}

impl Page {
    /// Reads `NextToken`.
    pub fn new(token: Option<&str>) -> Result<Self, Refusal> {
        let after = token.filter(|token| !token.is_empty()).map(|token| {
            let key = STANDARD.decode(token).ok().and_then(|key| String::from_utf8(key).ok());
            key.ok_or_else(|| refusals::invalid("NextToken"))
        });
        Ok(Page { after: after.transpose()?, most: limits::PAGE })
    }

    /// Reads `NextToken` and `MaxResults`, which cannot be more than `most`.
    pub fn of_size(token: Option<&str>, given: Option<i32>, most: usize) -> Result<Self, Refusal> {
        let page = Page::new(token)?;
        let Some(given) = given else { return Ok(Page { most, ..page }) };
        match usize::try_from(given) {
            Ok(given) if (1..=most).contains(&given) => Ok(Page { most: given, ..page }),
            _ => Err(refusals::invalid("MaxResults")),
        }
    }

    /// The key after which it begins, as a number.
    pub fn after_number(&self) -> Result<Option<u64>, Refusal> {
        self.after.as_deref().map(|key| key.parse().map_err(|_| refusals::invalid("NextToken"))).transpose()
    }

    /// Takes the page out of what comes after [`Page::after`]: items with their keys.
    pub fn fill<T>(&self, mut items: impl Iterator<Item = (String, T)>) -> Listed<T> {
        let page: Vec<(String, T)> = items.by_ref().take(self.most).collect();
        let more = items.next().is_some();
        let next_token = page.last().filter(|_| more).map(|(key, _)| STANDARD.encode(key));
        Listed { items: page.into_iter().map(|(_, item)| item).collect(), next_token }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_until_all_is_told() {
        // facts/sns.md § 2
        let all: Vec<u64> = (0..250).collect();
        let (mut token, mut told, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = Page::new(token.as_deref()).unwrap();
            let after = page.after_number().unwrap();
            let rest = all.iter().filter(|&&item| after.is_none_or(|after| item > after));
            let listed = page.fill(rest.map(|item| (item.to_string(), *item)));
            told.extend(listed.items);
            pages += 1;
            match listed.next_token {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        assert_eq!((told, pages), (all, 3));
        assert!(Page::new(Some("?")).is_err());
        assert!(Page::of_size(None, Some(0), 30).is_err());
    }
}
