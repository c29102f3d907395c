//! Reading a list.

use alloc::{string::String, sync::Arc, vec::Vec};

use ssh_wire::{DecodeErrorKind, Reader};

use super::{FORMAT, Krl, KrlError, MAGIC, MAX_BITMAP_BITS, MAX_LEN, Serials, number};
use crate::{
    LineError, PublicKey, SkippedLine,
    line::{lines, read_key_text},
    public::shown,
};

impl Krl {
    /// Reads a binary list.
    ///
    /// # Errors
    /// [`KrlError`]. A list that is not understood in full is not read at all.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KrlError> {
        if bytes.len() > MAX_LEN {
            return Err(KrlError::TooLong { len: bytes.len() });
        }
        let Some(rest) = bytes.strip_prefix(MAGIC) else { return Err(KrlError::NotAKrl) };
        let mut reader = Reader::new("KRL", rest);
        let version = reader.field("format").uint32()?;
        if version != FORMAT {
            return Err(KrlError::UnknownFormat { version });
        }
        let version = reader.field("version").uint64()?;
        let generated = reader.field("generated").uint64()?;
        reader.field("flags").uint64()?;
        reader.field("reserved").string()?;
        let comment = String::from_utf8_lossy(reader.field("comment").string()?);
        let mut krl = Self::new(version, generated, &comment);
        while reader.left() > 0 {
            let number = reader.field("section").byte()?;
            let body = reader.string()?;
            krl.read_section(number, body)?;
        }
        Ok(krl)
    }

    /// Reads what a setting `RevokedKeys` may name: a list as above, or public keys one to a line.
    ///
    /// # Errors
    /// [`KrlError`], among them [`KrlError::Line`] for a line that is no key of any type.
    pub fn from_file(bytes: &[u8]) -> Result<Self, KrlError> {
        if bytes.starts_with(MAGIC) {
            return Self::from_bytes(bytes);
        }
        if bytes.len() > MAX_LEN {
            return Err(KrlError::TooLong { len: bytes.len() });
        }
        let source: Arc<str> = "revoked keys".into();
        let mut krl = Self::default();
        for (line, text) in lines(bytes) {
            let text = read_key_text(text).map_err(|error| {
                let (source, reason) = (Arc::clone(&source), LineError::Key(error));
                KrlError::Line(SkippedLine { source, line, reason })
            })?;
            krl.keys.insert(text.blob.into());
        }
        Ok(krl)
    }

    fn read_section(&mut self, number: u8, body: &[u8]) -> Result<(), KrlError> {
        let mut reader = Reader::new("KRL section", body);
        match number {
            number::CERTIFICATES => self.read_certificates(reader)?,
            number::KEYS => {
                while reader.left() > 0 {
                    self.keys.insert(reader.field("key").string()?.into());
                }
            }
            number::SHA1 => {
                while reader.left() > 0 {
                    self.sha1.insert(*reader.field("fingerprint").string_of()?);
                }
            }
            number::SHA256 => {
                while reader.left() > 0 {
                    self.sha256.insert(*reader.field("fingerprint").string_of()?);
                }
            }
            number::EXTENSION => read_extension(reader)?,
            // Among them number 4, signatures: nothing ever made lists with one.
            _ => return Err(KrlError::UnknownSection { number }),
        }
        Ok(())
    }

    fn read_certificates(&mut self, mut reader: Reader<'_>) -> Result<(), KrlError> {
        let authority = match reader.field("authority").string()? {
            b"" => None,
            blob => {
                let key = PublicKey::from_blob_of_bits(blob, 0).map_err(KrlError::Authority)?;
                Some(key)
            }
        };
        reader.field("reserved").string()?;
        let revoked = self.of(authority.as_ref());
        while reader.left() > 0 {
            let number = reader.field("part").byte()?;
            let mut part = Reader::new("KRL certificates", reader.string()?);
            match number {
                number::SERIALS => {
                    while part.left() > 0 {
                        let serial = read_serial(&mut part)?;
                        revoked.serials.push(Serials::Range(serial, serial));
                    }
                }
                number::SERIAL_RANGE => {
                    let first = read_serial(&mut part)?;
                    let at = part.clone();
                    let last = read_serial(&mut part)?;
                    part.finish()?;
                    if last < first {
                        let why = DecodeErrorKind::Invalid("a range ends before it begins");
                        return Err(at.error(why).into());
                    }
                    revoked.serials.push(Serials::Range(first, last));
                }
                number::SERIAL_BITMAP => revoked.serials.push(read_bitmap(part)?),
                number::KEY_IDS => {
                    while part.left() > 0 {
                        let key_id = part.field("key id").string()?;
                        revoked.key_ids.insert(String::from_utf8_lossy(key_id).into_owned());
                    }
                }
                number::PART_EXTENSION => read_extension(part)?,
                number => return Err(KrlError::UnknownSection { number }),
            }
        }
        Ok(())
    }
}

fn read_serial(reader: &mut Reader<'_>) -> Result<u64, KrlError> {
    let at = reader.field("serial").clone();
    match reader.uint64()? {
        0 => Err(at.error(DecodeErrorKind::Invalid("0 is no serial number")).into()),
        serial => Ok(serial),
    }
}

fn read_bitmap(mut reader: Reader<'_>) -> Result<Serials, KrlError> {
    let offset = reader.field("offset").uint64()?;
    let at = reader.field("bitmap").clone();
    let bits: Vec<u8> = reader.string()?.iter().copied().skip_while(|byte| *byte == 0).collect();
    reader.finish()?;
    let invalid = |why| at.error(DecodeErrorKind::Invalid(why)).into();
    let count = u64::try_from(bits.len()).unwrap_or(u64::MAX).saturating_mul(8);
    if count > MAX_BITMAP_BITS {
        return Err(invalid("more bits than a bitmap may have"));
    }
    let highest = bits.first().map_or(0, |byte| u64::from(byte.leading_zeros()));
    let last = count.saturating_sub(highest).saturating_sub(1);
    if offset.checked_add(last).is_none() {
        return Err(invalid("serial numbers beyond the last"));
    }
    let bitmap = Serials::Bitmap { offset, bits: bits.into() };
    if bitmap.contain(0) {
        return Err(invalid("0 is no serial number"));
    }
    Ok(bitmap)
}

fn read_extension(mut reader: Reader<'_>) -> Result<(), KrlError> {
    let name = reader.field("extension").string()?;
    let critical = reader.field("critical").boolean()?;
    reader.field("body").string()?;
    reader.finish()?;
    if critical { Err(KrlError::CriticalExtension { name: shown(name) }) } else { Ok(()) }
}
