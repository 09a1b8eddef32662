//! The HTTP servers that are subscribed: one works, one refuses, one never answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};

use serde_json::Value;

/// Where they listen, and the tokens of what they are asked to confirm.
pub struct Subscribers {
    pub urls: Vec<String>,
    pub tokens: Mutex<mpsc::Receiver<(String, String)>>,
}

#[derive(Clone, Copy)]
enum Manner {
    Works,
    /// It answers 503, once it has been confirmed.
    Refuses,
    /// It reads and says nothing, once it has been confirmed.
    Hangs,
}

/// Starts all three; they live as long as the program.
pub fn start() -> std::io::Result<Subscribers> {
    let (sender, tokens) = mpsc::channel();
    let mut urls = Vec::new();
    for manner in [Manner::Works, Manner::Refuses, Manner::Hangs] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        urls.push(format!("http://{}/hook", listener.local_addr()?));
        let sender = sender.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                // A connection that breaks is the other side's to open again.
                std::thread::spawn(move || drop(serve(stream, manner, &sender)));
            }
        });
    }
    Ok(Subscribers { urls, tokens: Mutex::new(tokens) })
}

/// Answers the requests of one connection.
fn serve(stream: TcpStream, manner: Manner, tokens: &Sender<(String, String)>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(|_| std::io::ErrorKind::InvalidData)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let envelope: Value = serde_json::from_slice(&body).unwrap_or_default();
        let confirm = envelope["Type"] == "SubscriptionConfirmation";
        if confirm {
            let text = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
            let _ = tokens.send((text("TopicArn"), text("Token")));
        }
        let status = match manner {
            Manner::Refuses if !confirm => "503 Service Unavailable",
            Manner::Hangs if !confirm => {
                // Until the other side gives up.
                return stream.read_to_end(&mut Vec::new()).map(drop);
            }
            _ => "200 OK",
        };
        write!(stream.get_mut(), "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")?;
    }
}
