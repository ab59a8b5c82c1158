//! Headers as slices of one text.

use http::HeaderName;

use super::Known;

/// Where in the text something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    at: u32,
    len: u32,
}

/// A header name that configuration gives, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    known: Known,
    text: Box<str>,
}

/// The headers of one message, in the order they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    text: Vec<u8>,
    fields: Vec<Field>,
    /// Which known names there are, so that a search for one that is not there costs nothing.
    present: u64,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: Span,
    value: Span,
    known: Known,
    gone: bool,
}

impl Span {
    pub(crate) const fn new(at: usize, len: usize) -> Self {
        // Heads are bounded far below 4 GiB.
        Self { at: at as u32, len: len as u32 }
    }

    const fn range(self) -> std::ops::Range<usize> {
        self.at as usize..self.at as usize + self.len as usize
    }
}

impl Name {
    /// Takes a name; `None` when it is none.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some(Self { known: Known::of(name.as_str().as_bytes()), text: name.as_str().into() })
    }

    pub(crate) const fn known(&self) -> Known {
        self.known
    }
}

impl Fields {
    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.present = 0;
    }

    /// Puts text in place and gives where it stands.
    pub(crate) fn store(&mut self, text: &[u8]) -> Span {
        let at = self.text.len();
        self.text.extend_from_slice(text);
        Span::new(at, text.len())
    }

    /// Gives what stands there.
    pub(crate) fn slice(&self, span: Span) -> &[u8] {
        &self.text[span.range()]
    }

    /// The same as text; what is no text is empty.
    pub(crate) fn str(&self, span: Span) -> &str {
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }

    /// Adds a header whose name and value are in the text already.
    pub(crate) fn place(&mut self, name: Span, value: Span) {
        let known = Known::of(self.slice(name));
        self.present |= known.bit();
        self.fields.push(Field { name, value, known, gone: false });
    }

    /// Adds a header at the end.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let (name, value) = self.line(name, value);
        self.place(name, value);
    }

    /// Adds a header whose name is known at the end.
    pub(crate) fn add(&mut self, known: Known, value: &[u8]) {
        let (name, value) = self.line(known.text().as_bytes(), value);
        self.present |= known.bit();
        self.fields.push(Field { name, value, known, gone: false });
    }

    /// Puts a line in place as it is sent.
    fn line(&mut self, name: &[u8], value: &[u8]) -> (Span, Span) {
        self.text.reserve(name.len() + value.len() + 4);
        let name = self.store(name);
        self.text.extend_from_slice(b": ");
        let value = self.store(value);
        self.text.extend_from_slice(b"\r\n");
        (name, value)
    }

    /// Gives the lines of the headers that are `wanted`, in runs as long as they stand behind each other.
    pub(crate) fn lines(&self, wanted: impl Fn(Known) -> bool, mut give: impl FnMut(&[u8])) {
        let mut run = 0..0;
        for field in self.live().filter(|field| wanted(field.known)) {
            let (start, end) = (field.name.range().start, field.value.range().end);
            if !self.text[end..].starts_with(b"\r\n") {
                // White space behind a value is not passed on.
                give(&self.text[std::mem::replace(&mut run, 0..0)]);
                give(&self.text[start..end]);
                give(b"\r\n");
            } else if start == run.end {
                run.end = end + 2;
            } else {
                give(&self.text[std::mem::replace(&mut run, start..end + 2)]);
            }
        }
        give(&self.text[run]);
    }

    /// Puts a header in place of all of that name.
    pub(crate) fn set(&mut self, known: Known, value: &[u8]) {
        self.remove(known);
        self.add(known, value);
    }

    /// Gives names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.live().map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// Gives names, numbers and values.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (Known, &[u8], &[u8])> {
        self.live().map(|field| (field.known, self.slice(field.name), self.slice(field.value)))
    }

    pub(crate) fn len(&self) -> usize {
        self.live().count()
    }

    pub(crate) const fn contains(&self, known: Known) -> bool {
        self.present & known.bit() != 0
    }

    /// Gives the first value of a name.
    pub(crate) fn get(&self, known: Known) -> Option<&[u8]> {
        self.span(known).map(|span| self.slice(span))
    }

    /// Gives where the first value of a name stands.
    pub(crate) fn span(&self, known: Known) -> Option<Span> {
        if !self.contains(known) {
            return None;
        }
        self.live().find(|field| field.known == known).map(|field| field.value)
    }

    /// The same as text of visible ASCII.
    pub(crate) fn text(&self, known: Known) -> Option<&str> {
        visible(self.get(known)?)
    }

    /// Gives all values of a name.
    pub(crate) fn all(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        let there = self.contains(known);
        let fields = self.live().take_while(move |_| there);
        fields.filter(move |field| field.known == known).map(|field| self.slice(field.value))
    }

    /// Gives all values of a name from configuration.
    pub(crate) fn named<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a [u8]> {
        self.live().filter(|field| self.is(field, name)).map(|field| self.slice(field.value))
    }

    pub(crate) fn remove(&mut self, known: Known) {
        if self.contains(known) {
            self.fields.iter_mut().filter(|field| field.known == known).for_each(|field| field.gone = true);
            self.present &= !known.bit();
        }
    }

    pub(crate) fn remove_named(&mut self, name: &Name) {
        self.remove_text(name.known, name.text.as_bytes());
    }

    /// Removes by a name that is given as text, in any case.
    pub(crate) fn remove_text(&mut self, known: Known, name: &[u8]) {
        if known != Known::Other {
            return self.remove(known);
        }
        let text = &self.text;
        for field in self.fields.iter_mut().filter(|field| field.known == Known::Other) {
            field.gone |= text[field.name.range()].eq_ignore_ascii_case(name);
        }
    }

    pub(crate) fn set_named(&mut self, name: &Name, value: &[u8]) {
        self.remove_named(name);
        self.push(name.text.as_bytes(), value);
    }

    pub(crate) fn add_named(&mut self, name: &Name, value: &[u8]) {
        self.push(name.text.as_bytes(), value);
    }

    fn live(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !field.gone)
    }

    fn is(&self, field: &Field, name: &Name) -> bool {
        match name.known {
            Known::Other => {
                field.known == Known::Other && self.slice(field.name).eq_ignore_ascii_case(name.text.as_bytes())
            }
            known => field.known == known,
        }
    }
}

/// Gives visible ASCII as text.
pub(crate) fn visible(value: &[u8]) -> Option<&str> {
    let fine = value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    std::str::from_utf8(value).ok().filter(|_| fine)
}

impl<'a> FromIterator<(&'a str, &'a str)> for Fields {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        let mut fields = Self::default();
        pairs.into_iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_in_their_order_without_those_that_are_gone() {
        let text = b"A: 1\r\nB:  2 \r\nC: 3\r\nD: 4\r\n";
        let mut fields = Fields::default();
        fields.store(text);
        for (name, value) in [(0, 3), (6, 10), (14, 17), (20, 23)] {
            fields.place(Span::new(name, 1), Span::new(value, 1));
        }
        fields.add(Known::Te, b"trailers");

        let mut out = Vec::new();
        fields.lines(|_| true, |run| out.extend_from_slice(run));
        assert_eq!(out, b"A: 1\r\nB:  2\r\nC: 3\r\nD: 4\r\nte: trailers\r\n");

        fields.remove_text(Known::Other, b"c");
        out.clear();
        fields.lines(|known| known != Known::Te, |run| out.extend_from_slice(run));
        assert_eq!(out, b"A: 1\r\nB:  2\r\nD: 4\r\n");
    }

    #[test]
    fn removed_headers_are_gone_and_the_rest_keeps_its_order() {
        let mut fields: Fields = [("Host", "a"), ("X-One", "1"), ("x-one", "2"), ("Te", "gzip")].into_iter().collect();
        let one = Name::new("x-ONE").expect("a name");

        assert_eq!(fields.named(&one).collect::<Vec<_>>(), [b"1", b"2"]);
        fields.set_named(&one, b"3");
        fields.remove(Known::Te);
        fields.set(Known::Host, b"b");

        let left: Vec<_> = fields.iter().map(|(name, value)| [name, b"=", value].concat()).collect();
        assert_eq!(left, [&b"x-one=3"[..], b"host=b"]);
        assert!(!fields.contains(Known::Te) && fields.get(Known::Te).is_none());
    }
}
