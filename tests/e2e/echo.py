"""Run inside network namespaces: `serve NAME PORT...` tells every TCP and UDP client its address; `ask PROTO HOST PORT [N]`
prints what it is told, or refused, timeout, unreachable; `loop HOST PORT` asks until its stdin ends and prints failures."""

import asyncio
import socket
import sys

SECONDS = 5.0  # a lost packet is sent again after one


class Udp(asyncio.DatagramProtocol):
    def __init__(self, name):
        self.name = name

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(f"{self.name} {addr[0]}".encode(), addr)


async def serve(name, ports):
    async def tcp(reader, writer):
        writer.write(f"{name} {writer.get_extra_info('peername')[0]}".encode())
        writer.close()

    for port in map(int, ports):
        await asyncio.start_server(tcp, "0.0.0.0", port)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: Udp(name), local_addr=("0.0.0.0", port))
    print("listening", flush=True)
    await asyncio.Event().wait()


def ask(proto, host, port):
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(SECONDS)
        try:
            s.connect((host, int(port)))
            if proto == "udp":
                s.send(b"?")
            return s.recv(100).decode()
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "timeout"
        except OSError as e:
            return f"unreachable: {e}"


def loop(host, port):
    import threading

    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    count = 0
    print("looping", flush=True)
    while not ended.is_set():
        answer = ask("tcp", host, port)
        count += 1
        if " " not in answer:
            print(answer)
    print(count)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", name, *ports]:
            asyncio.run(serve(name, ports))
        case ["ask", proto, host, port, *times]:
            for _ in range(int(times[0]) if times else 1):
                print(ask(proto, host, port))
        case ["loop", host, port]:
            loop(host, port)
