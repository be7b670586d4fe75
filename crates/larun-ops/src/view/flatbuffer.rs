//! Reading flatbuffers: tables, vectors, strings and unions, every access checked.
//!
//! A table begins with the distance back to its vtable; the vtable gives, for each field id, the
//! distance from the table to the field. Vectors begin with their length. All distances come from
//! the file, so each is added with a check and looked up with `get`.

use core::marker::PhantomData;

use super::error::{Field, ViewError, ViewErrorKind};

/// Bytes of an offset, and of a vector's length.
const OFFSET: usize = 4;

/// A number as it stands in a file, little endian.
pub trait Scalar: Copy + Default + sealed::Sealed {
    /// Its bytes.
    const SIZE: usize;

    /// The number at the start of `bytes`, or `None` where there are too few.
    fn read(bytes: &[u8]) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! scalars {
    ($($name:ty),+) => {$(
        impl sealed::Sealed for $name {}
        impl Scalar for $name {
            const SIZE: usize = size_of::<Self>();

            #[inline]
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|bytes| Self::from_le_bytes(*bytes))
            }
        }
    )+};
}

scalars!(u8, i8, u16, i32, u32, i64, u64, f32);

/// A vector of numbers, still little endian and at any alignment.
pub struct List<'a, T> {
    bytes: &'a [u8],
    element: PhantomData<T>,
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl<'a, T> List<'a, T> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            element: PhantomData,
        }
    }

    /// The bytes of the elements.
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there are no elements.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl<'a, T: Scalar> List<'a, T> {
    /// How many elements there are.
    #[inline]
    pub const fn len(&self) -> usize {
        self.bytes.len() / T::SIZE
    }

    /// Element `index`, or `None` past the end.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        T::read(self.bytes.get(index.checked_mul(T::SIZE)?..)?)
    }

    /// The elements in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + DoubleEndedIterator + use<'a, T> {
        let elements = self.bytes.chunks_exact(T::SIZE);
        elements.map(|bytes| T::read(bytes).unwrap_or_default())
    }
}

impl<T: Scalar + PartialEq> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Scalar + core::fmt::Debug> core::fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A table whose vtable was found and checked; it is found again for every field, so that a table is small. For readers that look at
/// every field; what the view has a name for is better read through that.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Table<'a> {
    /// A table in which every field is absent.
    pub const EMPTY: Self = Self { file: &[], at: 0 };

    /// The table that the first four bytes of the file lead to; `field` is named in the error.
    pub fn root(file: &'a [u8], field: Field) -> Result<Self, ViewError> {
        Self::behind(file, 0, field)
    }

    /// The table that the offset at `from` leads to.
    #[inline(never)]
    fn behind(file: &'a [u8], from: usize, field: Field) -> Result<Self, ViewError> {
        let at = follow(file, from).ok_or_else(|| out_of_bounds(field, from))?;
        let table = Self { file, at };
        match table.slots() {
            Some(_) => Ok(table),
            None => Err(field.error(ViewErrorKind::NoTable(position(at)))),
        }
    }

    /// The distances of the fields, two bytes each.
    #[inline(never)]
    fn slots(&self) -> Option<&'a [u8]> {
        let back = i32::read(self.file.get(self.at..)?)?.checked_neg()?;
        let vtable = self.at.checked_add_signed(isize::try_from(back).ok()?)?;
        let vtable = self.file.get(vtable..)?;
        let len = usize::from(u16::read(vtable)?);
        vtable.get(4..len)
    }

    /// The ids of the fields that are there.
    pub fn present(&self) -> impl Iterator<Item = usize> + use<'a> {
        let slots = self.slots().unwrap_or_default().chunks_exact(2).enumerate();
        slots.filter(|(_, slot)| slot != &[0, 0]).map(|(id, _)| id)
    }

    /// The file that the table stands in.
    pub const fn file(&self) -> &'a [u8] {
        self.file
    }

    /// The `size` bytes at `offset` in the file, behind the flatbuffer itself, for which `field` asks.
    pub fn beside(&self, field: Field, offset: u64, size: u64) -> Result<&'a [u8], ViewError> {
        let found = usize::try_from(offset).ok().and_then(|start| {
            let end = start.checked_add(usize::try_from(size).ok()?)?;
            self.file.get(start..end)
        });
        found.ok_or_else(|| {
            let at = u32::try_from(offset).unwrap_or(u32::MAX);
            field.error(ViewErrorKind::OutOfBounds(at))
        })
    }

    /// Where the field stands, or `None` where it is absent.
    #[inline(never)]
    fn find(&self, field: Field) -> Option<usize> {
        let slot = u16::read(self.slots()?.get(2 * field.id()..)?)?;
        // Wrapping would need a file as large as the address space.
        (slot != 0).then(|| self.at.saturating_add(usize::from(slot)))
    }

    /// The `size` bytes of a field, none where it is absent; `None` where they lie outside the file.
    ///
    /// This and [`vector`](Self::vector) are the only ways to read a field, so that their checks are linked once.
    #[inline(never)]
    fn slot(&self, field: Field, size: usize) -> Option<&'a [u8]> {
        match self.find(field) {
            Some(at) => self.file.get(at..)?.get(..size),
            None => Some(&[]),
        }
    }

    /// The bytes of a vector whose elements have `size`, none where the field is absent; `None` where they lie outside
    /// the file.
    #[inline(never)]
    fn vector(&self, field: Field, size: usize) -> Option<&'a [u8]> {
        let Some(at) = self.find(field) else {
            return Some(&[]);
        };
        let vector = self.file.get(follow(self.file, at)?..)?;
        let (len, elements) = vector.split_at_checked(OFFSET)?;
        let bytes = usize::try_from(u32::read(len)?).ok()?.checked_mul(size)?;
        elements.get(..bytes)
    }

    /// The error of a field that leads outside the file.
    fn out_of_bounds(&self, field: Field) -> ViewError {
        let at = match cfg!(feature = "explain") {
            true => self.find(field).unwrap_or_default(),
            false => 0,
        };
        out_of_bounds(field, at)
    }

    /// A number, or `None` where the field is absent.
    pub fn scalar<T: Scalar>(&self, field: Field) -> Result<Option<T>, ViewError> {
        let bytes = self.slot(field, T::SIZE);
        bytes.map(T::read).ok_or_else(|| self.out_of_bounds(field))
    }

    /// A number that is `default` where the field is absent.
    pub fn scalar_or<T: Scalar>(&self, field: Field, default: T) -> Result<T, ViewError> {
        Ok(self.scalar(field)?.unwrap_or(default))
    }

    /// A byte that is `default` where the field is absent.
    #[inline(never)]
    pub(crate) fn byte_or(&self, field: Field, default: u8) -> Result<u8, ViewError> {
        self.scalar_or(field, default)
    }

    /// A flag, false where the field is absent.
    pub fn flag(&self, field: Field) -> Result<bool, ViewError> {
        Ok(self.byte_or(field, 0)? != 0)
    }

    /// A vector of numbers, or `None` where the field is absent.
    pub fn list<T: Scalar>(&self, field: Field) -> Result<Option<List<'a, T>>, ViewError> {
        let list = self.list_or_empty(field)?;
        Ok(self.find(field).map(|_| list))
    }

    /// A vector of numbers, empty where the field is absent.
    pub fn list_or_empty<T: Scalar>(&self, field: Field) -> Result<List<'a, T>, ViewError> {
        let bytes = self.vector(field, T::SIZE);
        bytes
            .map(List::new)
            .ok_or_else(|| self.out_of_bounds(field))
    }

    /// The bytes of a string or byte vector, or `None` where the field is absent.
    pub fn bytes(&self, field: Field) -> Result<Option<&'a [u8]>, ViewError> {
        let list = self.list::<u8>(field)?;
        Ok(list.map(|list| list.bytes()))
    }

    /// A table, or `None` where the field is absent.
    pub fn table(&self, field: Field) -> Result<Option<Self>, ViewError> {
        match self.find(field) {
            Some(at) => Self::behind(self.file, at, field).map(Some),
            None => Ok(None),
        }
    }

    /// The number and the table of a union, or `None` where it is not set.
    pub fn union(&self, field: Field) -> Result<Option<(u8, Self)>, ViewError> {
        let number = self.byte_or(field.union_type(), 0)?;
        if number == 0 {
            return Ok(None);
        }
        Ok(self.table(field)?.map(|table| (number, table)))
    }

    /// How many tables a vector has.
    pub(crate) fn count(&self, field: Field) -> Result<usize, ViewError> {
        let offsets = self.vector(field, OFFSET);
        let offsets = offsets.ok_or_else(|| self.out_of_bounds(field))?;
        Ok(offsets.len() / OFFSET)
    }

    /// Table `index` of a vector.
    #[inline(never)]
    pub(crate) fn entry(&self, field: Field, index: usize) -> Result<Self, ViewError> {
        self.tables(field)?.get(index)
    }

    /// A vector of tables, empty where the field is absent.
    pub fn tables(&self, field: Field) -> Result<Tables<'a>, ViewError> {
        let offsets = self.vector(field, OFFSET);
        let offsets = offsets.ok_or_else(|| self.out_of_bounds(field))?;
        Ok(Tables {
            file: self.file,
            // Of no use where there are none.
            start: (offsets.as_ptr() as usize).wrapping_sub(self.file.as_ptr() as usize),
            len: offsets.len() / OFFSET,
            field,
        })
    }
}

/// A vector of tables.
#[derive(Clone, Copy)]
pub struct Tables<'a> {
    file: &'a [u8],
    start: usize,
    len: usize,
    field: Field,
}

impl<'a> Tables<'a> {
    /// How many tables there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Table `index`.
    pub fn get(&self, index: usize) -> Result<Table<'a>, ViewError> {
        if index >= self.len {
            return Err(self.field.error(ViewErrorKind::NoEntry(position(index))));
        }
        // The vector lies in the file, so the place of its entries cannot overflow.
        Table::behind(self.file, self.start + OFFSET * index, self.field)
    }
}

/// Where the offset at `from` leads.
fn follow(file: &[u8], from: usize) -> Option<usize> {
    let distance = u32::read(file.get(from..)?)?;
    from.checked_add(usize::try_from(distance).ok()?)
}

#[cold]
fn out_of_bounds(field: Field, at: usize) -> ViewError {
    field.error(ViewErrorKind::OutOfBounds(position(at)))
}

/// A position or index for an error.
pub(crate) fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
