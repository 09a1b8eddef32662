//! Long lists, page by page.
//!
//! A token is the key of a page's last item in base64. So the server keeps no state for a list, a list continues after a restart, and
//! items that are added or deleted between two requests do not shift the next page. A token needs no signature: a made-up token starts at
//! another place of a list that the caller may read anyway.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The most bytes of an item's key. A longer token is not one of the server's.
pub const KEY_BYTES: usize = 1024;

/// The requested part of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// What comes after the item of this key; absent: the beginning.
    pub after: Option<String>,
    /// Items at the most.
    pub most: usize,
}

/// A part of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// The token of the next page, if there is one.
    pub next_token: Option<String>,
}

/// The server did not issue this token. Each service has its own refusal for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenUnknown;

/// The size is out of range. Each service has its own refusal for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeInvalid;

/// Reads a request's token: the key after which the page begins. An empty token counts as absent.
pub fn key_of(token: Option<&str>) -> Result<Option<String>, TokenUnknown> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let is_short = token.len() <= KEY_BYTES.div_ceil(3) * 4;
    let key = Some(token).filter(|_| is_short).and_then(|token| STANDARD.decode(token).ok());
    key.and_then(|key| String::from_utf8(key).ok()).map(Some).ok_or(TokenUnknown)
}

/// Reads a request's page size: 1 to `most`; `most` if absent.
pub fn size_of(given: Option<i32>, most: usize) -> Result<usize, SizeInvalid> {
    let Some(given) = given else { return Ok(most) };
    usize::try_from(given).ok().filter(|given| (1..=most).contains(given)).ok_or(SizeInvalid)
}

impl Page {
    /// The key after which the page begins, of a list whose keys are numbers.
    pub fn after_number(&self) -> Result<Option<u64>, TokenUnknown> {
        self.after.as_deref().map(|key| key.parse().map_err(|_| TokenUnknown)).transpose()
    }

    /// Takes the page from the items after [`Page::after`], given with their keys. Reads one item more than the page has.
    pub fn fill<K: AsRef<str>, T>(&self, items: impl Iterator<Item = (K, T)>) -> Listed<T> {
        self.fill_some(items.map(|(key, item)| (key, Some(item))), usize::MAX)
    }

    /// The same, of items of which only some belong to the list; the others are `None`. Looks at `looked_at` items at the most, so
    /// that a page costs no more where few belong to it. Then it is short, and has a token.
    pub fn fill_some<K: AsRef<str>, T>(
        &self,
        mut items: impl Iterator<Item = (K, Option<T>)>,
        looked_at: usize,
    ) -> Listed<T> {
        let (mut page, mut last) = (Vec::new(), None);
        for (key, item) in items.by_ref().take(looked_at) {
            page.extend(item);
            last = Some(key);
            if page.len() >= self.most {
                break;
            }
        }
        let next_token = last.filter(|_| items.next().is_some()).map(|key| STANDARD.encode(key.as_ref()));
        Listed { items: page, next_token }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end_of_the_list() {
        let all: Vec<u64> = (0..250).collect();
        let (mut token, mut listed_so_far, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = Page { after: key_of(token.as_deref()).unwrap(), most: 100 };
            let after = page.after_number().unwrap();
            let rest = all.iter().filter(|&&item| after.is_none_or(|after| item > after));
            let listed = page.fill(rest.map(|item| (item.to_string(), *item)));
            listed_so_far.extend(listed.items);
            pages += 1;
            match listed.next_token {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        assert_eq!((listed_so_far, pages), (all, 3));
    }

    #[test]
    fn a_page_that_ends_with_the_list_has_no_token() {
        let page = |most| Page { after: None, most }.fill([("a", 1), ("b", 2)].into_iter());
        assert_eq!(page(1), Listed { items: vec![1], next_token: Some("YQ==".to_owned()) });
        assert_eq!(page(2), Listed { items: vec![1, 2], next_token: None });
        assert_eq!(page(3), Listed { items: vec![1, 2], next_token: None });
    }

    #[test]
    fn a_page_of_a_few_among_many_looks_at_a_bounded_number() {
        let some = |most, looked_at| {
            let items = (0..10).map(|item| (item.to_string(), (item % 4 == 3).then_some(item)));
            let listed = Page { after: None, most }.fill_some(items, looked_at);
            let token = listed.next_token.map(|token| key_of(Some(&token)).unwrap().unwrap());
            (listed.items, token)
        };
        assert_eq!(some(1, 100), (vec![3], Some("3".to_owned())));
        assert_eq!(some(2, 6), (vec![3], Some("5".to_owned())));
        assert_eq!(some(5, 2), (vec![], Some("1".to_owned())));
        assert_eq!(some(5, 10), (vec![3, 7], None));
        assert_eq!(some(5, 100), (vec![3, 7], None));
    }

    #[test]
    fn only_tokens_that_the_server_issues_are_read() {
        let key = "ä".repeat(KEY_BYTES / 2);
        assert_eq!(key_of(Some(&STANDARD.encode(&key))), Ok(Some(key.clone())));
        for none in [None, Some("")] {
            assert_eq!(key_of(none), Ok(None));
        }
        let too_long = STANDARD.encode(key.repeat(2));
        for wrong in ["?", "YQ", "/////w==", &too_long] {
            assert_eq!(key_of(Some(wrong)), Err(TokenUnknown), "{wrong}");
        }
        let page = Page { after: Some("a".to_owned()), most: 1 };
        assert_eq!(page.after_number(), Err(TokenUnknown));
    }

    #[test]
    fn pages_have_sizes_within_their_bounds() {
        for (given, expected) in [
            (None, Ok(30)),
            (Some(1), Ok(1)),
            (Some(30), Ok(30)),
            (Some(0), Err(SizeInvalid)),
            (Some(-1), Err(SizeInvalid)),
            (Some(31), Err(SizeInvalid)),
        ] {
            assert_eq!(size_of(given, 30), expected, "{given:?}");
        }
    }
}
