//! Datagrams over loopback sockets.

use super::*;

fn receive_all(socket: &UdpSocket) -> Vec<(Path, Vec<u8>)> {
    let (mut batch, mut got) = (ReceiveBatch::new(), Vec::new());
    // Loopback delivers within the sending call, so one pass sees it all.
    while {
        let before = got.len();
        batch.receive(socket);
        batch.each(|path, bytes| got.push((path, bytes.to_vec())));
        got.len() > before
    } {}
    got
}

fn socket(address: &str) -> UdpSocket {
    UdpSocket::bind(address.parse().unwrap()).unwrap()
}

fn run<'a>(from: &UdpSocket, to: &UdpSocket, size: usize, bytes: &'a [u8]) -> Run<'a> {
    let path = Path {
        local: from.local_addr().ip(),
        remote: to.local_addr(),
    };
    Run {
        path,
        segment_size: size,
        bytes,
    }
}

#[test]
fn a_run_arrives_as_the_datagrams_it_is_made_of_with_gso_and_without() {
    for gso in [true, false] {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let (mut from, to) = (socket(host), socket(host));
            from.gso = gso;
            let bytes: Vec<u8> = (0..1_050).map(|at| (at / 100) as u8).collect();
            let mut counters = SendCounters::default();
            let runs = [
                run(&from, &to, 100, &bytes),
                run(&from, &to, 7, &bytes[..7]),
            ];
            from.send(runs.into_iter(), &mut counters);
            let got: Vec<Vec<u8>> = receive_all(&to).into_iter().map(|(_, b)| b).collect();
            let mut expected: Vec<Vec<u8>> = bytes.chunks(100).map(<[u8]>::to_vec).collect();
            expected.push(bytes[..7].to_vec());
            assert_eq!(got, expected);
            assert_eq!((counters.blocked, counters.failed), (0, 0));
        }
    }
}

#[test]
fn a_wildcard_socket_knows_which_address_was_hit_and_answers_from_it() {
    let mut server = socket("0.0.0.0:0");
    let client = socket("127.0.0.1:0");
    let hit: IpAddr = "127.0.0.2".parse().unwrap();
    let mut counters = SendCounters::default();
    let mut sender = socket("127.0.0.1:0");
    let remote = SocketAddr::new(hit, server.local_addr().port());
    let path = Path {
        local: sender.local_addr().ip(),
        remote,
    };
    sender.send(
        [Run {
            path,
            segment_size: 2,
            bytes: b"hi",
        }]
        .into_iter(),
        &mut counters,
    );
    let got = receive_all(&server);
    assert_eq!(
        got,
        [(
            Path {
                local: hit,
                remote: sender.local_addr()
            },
            b"hi".to_vec()
        )]
    );
    let back = Path {
        local: hit,
        remote: client.local_addr(),
    };
    let answer = [Run {
        path: back,
        segment_size: 2,
        bytes: b"hello",
    }];
    server.send(answer.into_iter(), &mut counters);
    let from: Vec<IpAddr> = receive_all(&client)
        .into_iter()
        .map(|(path, _)| path.remote.ip())
        .collect();
    assert_eq!(from, [hit; 3]);
}

#[test]
fn what_the_kernel_refuses_costs_that_datagram_alone() {
    let (mut from, to) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let huge = vec![0; 65_530];
    let runs = [
        run(&from, &to, 3, b"one"),
        run(&from, &to, huge.len(), &huge),
        run(&from, &to, 3, b"two"),
    ];
    let mut counters = SendCounters::default();
    from.send(runs.into_iter(), &mut counters);
    let got: Vec<Vec<u8>> = receive_all(&to)
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    assert_eq!(got, [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(counters.failed, 1);
}

#[test]
fn a_full_buffer_drops_and_never_waits() {
    let (mut from, to) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    set_option(to.fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 4_096).unwrap();
    let bytes = vec![1; 60_000];
    for _ in 0..1_000 {
        let runs = [run(&from, &to, 1_200, &bytes)];
        from.send(runs.into_iter(), &mut SendCounters::default());
    }
    assert!(receive_all(&to).len() < 50_000);
}

#[test]
fn a_batch_takes_as_many_messages_as_it_holds_and_the_next_one_the_rest() {
    let server = socket("127.0.0.1:0");
    let mut clients = [socket("127.0.0.1:0"), socket("127.0.0.1:0")];
    let mut counters = SendCounters::default();
    let sent: Vec<(SocketAddr, [u8; 1])> = (0..BATCH + 5)
        .map(|number| {
            let client = &mut clients[number % 2];
            let bytes = [number as u8];
            let message = run(client, &server, 1, &bytes);
            client.send(std::iter::once(message), &mut counters);
            (client.local_addr(), bytes)
        })
        .collect();
    let mut batch = ReceiveBatch::new();
    assert_eq!(batch.receive(&server), BATCH);
    assert!(batch.is_full());
    let mut got = Vec::new();
    batch.each(|path, bytes| got.push((path.remote, [bytes[0]])));
    assert_eq!(batch.receive(&server), 5);
    batch.each(|path, bytes| got.push((path.remote, [bytes[0]])));
    assert_eq!(got, sent);
}

#[test]
fn what_comes_later_goes_behind_what_is_in_the_batch() {
    let (mut client, server) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let (mut batch, mut counters) = (ReceiveBatch::new(), SendCounters::default());
    let mut next = 0_u8;
    for messages in [AT_ONCE, 3, AT_ONCE + 1] {
        for _ in 0..messages {
            let bytes = [next];
            let message = run(&client, &server, 1, &bytes);
            client.send(std::iter::once(message), &mut counters);
            next += 1;
        }
        assert_eq!(batch.receive(&server), messages);
    }
    let mut got = Vec::new();
    batch.each(|_, bytes| got.push(bytes[0]));
    assert_eq!(got, (0..next).collect::<Vec<u8>>());
}
