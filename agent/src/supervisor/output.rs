//! From the pipes of a run into its log.

use std::fs::File;
use std::future;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe::Receiver;

use crate::run::log::{Lines, Log, Stream};

/// One pipe of the run, until its last writer closes it.
struct Source {
    stream: Stream,
    pipe: Option<Receiver>,
    lines: Lines,
}

impl Source {
    fn new(stream: Stream, pipe: OwnedFd) -> io::Result<Self> {
        let pipe = Some(Receiver::from_owned_fd(pipe)?);
        Ok(Self { stream, pipe, lines: Lines::default() })
    }

    /// Reads once when there is something; waits for ever after the end. Nothing
    /// is lost when this is dropped while it waits.
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(pipe) = &self.pipe else { return future::pending().await };
        loop {
            pipe.readable().await?;
            match pipe.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    fn take(&mut self, bytes: &[u8], log: &mut Log) -> io::Result<()> {
        let Self { stream, pipe, lines } = self;
        if bytes.is_empty() {
            *pipe = None;
            return lines.finish(|line| log.write(*stream, line));
        }
        lines.push(bytes, |line| log.write(*stream, line))
    }

    /// Takes what is in the pipe now, without waiting for its end: a process
    /// that left the run may hold it open for ever.
    fn drain(&mut self, buffer: &mut [u8], log: &mut Log) -> io::Result<()> {
        if let Some(pipe) = self.pipe.take() {
            // The runtime may not know yet that there is something; the system does.
            let mut pipe = File::from(pipe.into_nonblocking_fd()?);
            loop {
                match pipe.read(buffer) {
                    Ok(0) => break,
                    Ok(read) => self.take(&buffer[..read], log)?,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let stream = self.stream;
        self.lines.finish(|line| log.write(stream, line))
    }
}

/// Both pipes of a run and the log that they go to.
pub(super) struct Output {
    stdout: Source,
    stderr: Source,
    log: Log,
    buffers: [Vec<u8>; 2],
    failure: Option<String>,
}

const BUFFER: usize = 64 * 1024;

impl Output {
    pub(super) fn new(stdout: OwnedFd, stderr: OwnedFd, log: Log) -> io::Result<Self> {
        Ok(Self {
            stdout: Source::new(Stream::Stdout, stdout)?,
            stderr: Source::new(Stream::Stderr, stderr)?,
            log,
            buffers: [vec![0; BUFFER], vec![0; BUFFER]],
            failure: None,
        })
    }

    /// Moves what the run wrote next. An error is given once; from then on the
    /// run's output is read and dropped, so that it can still be stopped.
    pub(super) async fn pump(&mut self) -> Result<(), String> {
        let [out, err] = &mut self.buffers;
        let done = tokio::select! {
            read = self.stdout.read(out) => match read {
                Ok(read) => keep(&mut self.stdout, &out[..read], &mut self.log, &self.failure),
                Err(error) => Err(error),
            },
            read = self.stderr.read(err) => match read {
                Ok(read) => keep(&mut self.stderr, &err[..read], &mut self.log, &self.failure),
                Err(error) => Err(error),
            },
        };
        done.map_err(|error| self.fail(&error))
    }

    /// Writes a line about the run.
    pub(super) fn remark(&mut self, text: &str) -> Result<(), String> {
        if self.failure.is_some() {
            return Ok(());
        }
        let done = self.log.write(Stream::Supervisor, text.as_bytes());
        done.map_err(|error| self.fail(&error))
    }

    /// Takes the rest after the last process of the run is gone, and makes the
    /// log durable.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let [buffer, _] = &mut self.buffers;
        let done = self
            .stdout
            .drain(buffer, &mut self.log)
            .and_then(|()| self.stderr.drain(buffer, &mut self.log))
            .and_then(|()| self.log.sync());
        done.map_err(|error| self.fail(&error))
    }

    fn fail(&mut self, error: &io::Error) -> String {
        let text = format!("cannot write the log: {error}");
        self.failure.get_or_insert(text).clone()
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }
}

fn keep(
    source: &mut Source,
    bytes: &[u8],
    log: &mut Log,
    failure: &Option<String>,
) -> io::Result<()> {
    match failure {
        None => source.take(bytes, log),
        Some(_) => {
            if bytes.is_empty() {
                source.pipe = None;
            }
            Ok(())
        }
    }
}
