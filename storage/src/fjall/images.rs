//! Images, each in a file of its own.
//!
//! An image is written once, front to back, read once, front to back, and removed as a whole: nothing of a database helps
//! with that. (And fjall never forgets a keyspace: each one that was created and deleted leaves some kilobytes in tables
//! that it rewrites with the next.) A file that is not complete still has its temporary name.
//!
//! `images/OFFSET.image`, integers little endian: `"batonim1"`, the position, then chunks `(length u32, checksum u64 over
//! number and chunk, chunk)`, then the end: length `ff ff ff ff`, checksum (u64 over all that follows), number of chunks
//! (u64), bytes (u64).

use super::folder::{io_error, sync_folder};
use crate::{Error, IMAGE_CHUNK, Image};
use baton_protocol::checksum::Checksum;
use baton_protocol::record::Position;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"batonim1";
const END: u32 = u32::MAX;
const BUFFER: usize = 64 << 10;

/// Folder of the images in the data folder.
pub(super) const FOLDER: &str = "images";
const EXTENSION: &str = "image";
const INCOMPLETE: &str = "incomplete";

/// The file of the image at this offset.
pub(super) fn path(data: &Path, offset: u64) -> PathBuf {
    data.join(FOLDER).join(format!("{offset:020}.{EXTENSION}"))
}

/// Writes an image and makes it durable.
pub(super) fn write(data: &Path, at: Position, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<Image, Error> {
    let folder = data.join(FOLDER);
    fs::create_dir_all(&folder).and_then(|()| sync_folder(data)).map_err(io_error("creating", &folder))?;
    let complete = path(data, at.offset.0);
    let incomplete = complete.with_extension(INCOMPLETE);
    let result = File::create(&incomplete)
        .map_err(io_error("creating", &incomplete))
        .and_then(|file| fill(&mut BufWriter::with_capacity(BUFFER, file), &incomplete, at, chunks))
        .and_then(|image| {
            let renamed = fs::rename(&incomplete, &complete).and_then(|()| sync_folder(&folder));
            renamed.map(|()| image).map_err(io_error("completing", &complete))
        });
    if result.is_err() {
        // If even that fails, the next opening removes it.
        drop(fs::remove_file(&incomplete));
    }
    result
}

fn fill(
    file: &mut BufWriter<File>,
    path: &Path,
    at: Position,
    chunks: &mut dyn Iterator<Item = Vec<u8>>,
) -> Result<Image, Error> {
    let error = || io_error("writing", path);
    file.write_all(&MAGIC).and_then(|()| file.write_all(&at.encode())).map_err(error())?;
    let (mut count, mut bytes) = (0_u64, 0_u64);
    for chunk in chunks {
        if chunk.len() > IMAGE_CHUNK {
            return Err(Error::Chunk { bytes: chunk.len() });
        }
        let head = [&(chunk.len() as u32).to_le_bytes()[..], &sum(&[&count.to_le_bytes(), &chunk]).to_le_bytes()];
        file.write_all(&head.concat()).and_then(|()| file.write_all(&chunk)).map_err(error())?;
        count += 1;
        bytes += chunk.len() as u64;
    }
    let end = [count.to_le_bytes(), bytes.to_le_bytes()].concat();
    let end = [&END.to_le_bytes()[..], &sum(&[&end]).to_le_bytes(), &end].concat();
    file.write_all(&end).and_then(|()| file.flush()).and_then(|()| file.get_ref().sync_all()).map_err(error())?;
    Ok(Image { at, bytes })
}

fn sum(parts: &[&[u8]]) -> u64 {
    let mut checksum = Checksum::new(0);
    parts.iter().for_each(|part| checksum.update(part));
    checksum.finish()
}

/// Removes an image.
pub(super) fn remove(data: &Path, offset: u64) -> Result<(), Error> {
    let path = path(data, offset);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("removing", &path)(error)),
        _ => Ok(()),
    }
}

/// The offsets of all complete images. Removes what was not completed.
pub(super) fn list(data: &Path) -> Result<Vec<u64>, Error> {
    let folder = data.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("reading the folder", &folder)(error)),
    };
    let mut offsets = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error("reading the folder", &folder))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension == Some(INCOMPLETE) {
            fs::remove_file(&path).map_err(io_error("removing", &path))?;
        } else if extension == Some(EXTENSION) {
            offsets.extend(path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()));
        }
    }
    offsets.sort_unstable();
    Ok(offsets)
}

/// Reads a whole image to see that it is intact.
pub(super) fn check(data: &Path, offset: u64) -> Result<Image, String> {
    let mut reader = Reader::open(data, offset)?;
    while reader.chunk()?.is_some() {}
    if reader.at.offset.0 != offset {
        return Err("it belongs elsewhere".to_owned());
    }
    Ok(Image { at: reader.at, bytes: reader.bytes })
}

/// Reads an image chunk by chunk and verifies each.
pub(super) struct Reader {
    file: BufReader<File>,
    /// To which it belongs.
    pub(super) at: Position,
    count: u64,
    bytes: u64,
}

impl Reader {
    pub(super) fn open(data: &Path, offset: u64) -> Result<Self, String> {
        let file = File::open(path(data, offset)).map_err(|error| error.to_string())?;
        let mut file = BufReader::with_capacity(BUFFER, file);
        if take::<8>(&mut file)? != MAGIC {
            return Err("the file is no image that this version knows".to_owned());
        }
        let at = Position::decode(&take(&mut file)?);
        Ok(Self { file, at, count: 0, bytes: 0 })
    }

    /// The next chunk; none after the last one, if the image is whole.
    pub(super) fn chunk(&mut self) -> Result<Option<Vec<u8>>, String> {
        let length = u32::from_le_bytes(take(&mut self.file)?);
        let expected = u64::from_le_bytes(take(&mut self.file)?);
        if length == END {
            let end: [u8; 16] = take(&mut self.file)?;
            let whole = [self.count.to_le_bytes(), self.bytes.to_le_bytes()].concat() == end;
            let last = self.file.read(&mut [0]).map_err(|error| error.to_string())? == 0;
            return if whole && last && sum(&[&end]) == expected {
                Ok(None)
            } else {
                Err("its end is damaged".to_owned())
            };
        }
        let damaged = || format!("chunk {} is damaged", self.count);
        if length as usize > IMAGE_CHUNK {
            return Err(damaged());
        }
        let mut chunk = vec![0; length as usize];
        self.file.read_exact(&mut chunk).map_err(|error| error.to_string())?;
        if sum(&[&self.count.to_le_bytes(), &chunk]) != expected {
            return Err(damaged());
        }
        self.count += 1;
        self.bytes += u64::from(length);
        Ok(Some(chunk))
    }
}

fn take<const N: usize>(file: &mut BufReader<File>) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map_err(|error| format!("it ends early: {error}"))?;
    Ok(bytes)
}
