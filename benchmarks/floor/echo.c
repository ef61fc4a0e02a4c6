/* The floor: the minimum cost of a websocket echo server on this kernel.
 *
 * One thread, one epoll set, one reused input buffer. It shakes hands, unmasks, echoes, answers ping and close, and
 * forwards each message on /fanout to all of its clients. It trusts its peer and checks nothing else, so its cost is
 * that of two system calls per message, a lower bound for any server.
 *
 *     echo PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accept_key.h"

enum { MOST = 20000, CHUNK = 1 << 18 };

struct bytes {
    unsigned char *data;
    size_t used, room;
};

struct connection {
    struct bytes in, out; /* an unfinished frame; what the kernel did not take. Unallocated until there is one */
    int open;             /* the handshake is done */
    int member;           /* came in by /fanout */
};

static struct connection connections[MOST];
static unsigned char chunk[CHUNK];
static int epoll_fd, highest;

static void make_room(struct bytes *to, size_t size) {
    if (to->used + size <= to->room) return;
    to->room = (to->used + size) * 2;
    to->data = realloc(to->data, to->room);
    if (!to->data) abort();
}

static void append(struct bytes *to, const unsigned char *data, size_t size) {
    make_room(to, size);
    memcpy(to->data + to->used, data, size);
    to->used += size;
}

static void release(struct bytes *bytes) {
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}

static void drop(int fd) {
    release(&connections[fd].in);
    release(&connections[fd].out);
    memset(&connections[fd], 0, sizeof connections[fd]);
    close(fd);
}

static void watch(int fd, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(epoll_fd, how, fd, &event);
}

static void transmit(int fd, const unsigned char *data, size_t size) {
    struct bytes *out = &connections[fd].out;
    if (!out->used) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent == (ssize_t)size) return;
        if (sent < 0) sent = 0;
        data += sent;
        size -= sent;
        watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
    append(out, data, size);
}

static void flush(int fd) {
    struct bytes *out = &connections[fd].out;
    ssize_t sent = send(fd, out->data, out->used, MSG_NOSIGNAL);
    if (sent <= 0) return;
    memmove(out->data, out->data + sent, out->used - sent);
    out->used -= sent;
    if (!out->used) watch(fd, EPOLL_CTL_MOD, EPOLLIN);
}

static int shake_hands(int fd) {
    struct connection *connection = &connections[fd];
    make_room(&connection->in, 1);
    connection->in.data[connection->in.used] = 0;
    const char *head = (const char *)connection->in.data;
    if (!strstr(head, "\r\n\r\n")) return 1;
    const char *key = strcasestr(head, "sec-websocket-key:");
    if (!key) return 0;
    key += strlen("sec-websocket-key:");
    while (*key == ' ') key++;
    char accept_key[32], response[256];
    websocket_accept_key(key, strcspn(key, " \r\n"), accept_key);
    int length = snprintf(response, sizeof response,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n\r\n", accept_key);
    connection->open = 1;
    connection->member = !strncmp(head, "GET /fanout", strlen("GET /fanout"));
    release(&connection->in);
    transmit(fd, (unsigned char *)response, length);
    return 1;
}

/* Unmask in place, eight bytes at a time. */
static void unmask(unsigned char *data, size_t size, const unsigned char *mask) {
    uint64_t wide, word;
    memcpy(&wide, mask, 4);
    memcpy((unsigned char *)&wide + 4, mask, 4);
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, data + i, 8);
        word ^= wide;
        memcpy(data + i, &word, 8);
    }
    for (; i < size; i++) data[i] ^= mask[i & 3];
}

/* Answer the frame at the start of data; its size, or 0 when it is not all there, or -1 to drop the connection. */
static ssize_t answer(int fd, unsigned char *data, size_t size) {
    if (size < 6) return 0;
    uint64_t length = data[1] & 127;
    size_t head = 6;
    if (length == 126) {
        if (size < (head = 8)) return 0;
        length = data[2] << 8 | data[3];
    } else if (length == 127) {
        if (size < (head = 14)) return 0;
        length = 0;
        for (int i = 2; i < 10; i++) length = length << 8 | data[i];
    }
    if (size < head + length) return 0;
    int opcode = data[0] & 15;
    unmask(data + head, length, data + head - 4);
    /* The reply's head is the request's without the four bytes of the mask: it fits in front of the payload. */
    unsigned char first = opcode == 9 ? 0x8a : data[0], *reply = data + 4;
    memmove(reply, data, head - 4);
    reply[0] = first;
    reply[1] &= 127;
    size_t reply_size = head - 4 + length;
    if (opcode == 8) {
        send(fd, reply, reply_size, MSG_NOSIGNAL);
        return -1;
    }
    if (opcode == 10) return head + length;
    if (connections[fd].member) {
        for (int other = 0; other <= highest; other++)
            if (connections[other].open && connections[other].member) transmit(other, reply, reply_size);
    } else {
        transmit(fd, reply, reply_size);
    }
    return head + length;
}

static void receive(int fd) {
    struct bytes *in = &connections[fd].in;
    unsigned char *data = chunk;
    if (in->used) { /* the rest of a frame goes to where its beginning waits */
        make_room(in, CHUNK);
        data = in->data;
    }
    ssize_t size = recv(fd, data + in->used, CHUNK, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        drop(fd);
        return;
    }
    if (!connections[fd].open) {
        if (data == chunk) append(in, chunk, size);
        else in->used += size;
        if (!shake_hands(fd)) drop(fd);
        return;
    }
    size_t left = in->used + size;
    ssize_t done;
    while ((done = answer(fd, data, left)) > 0) {
        data += done;
        left -= done;
    }
    if (done < 0) {
        drop(fd);
    } else if (!in->used) {
        if (left) append(in, data, left);
    } else {
        memmove(in->data, data, left);
        in->used = left;
    }
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MOST) {
            close(fd);
            continue;
        }
        if (fd > highest) highest = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("cannot listen");
        return 1;
    }
    epoll_fd = epoll_create1(0);
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);
    static struct epoll_event events[1024];
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 1024, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(listener);
                continue;
            }
            if (events[i].events & EPOLLOUT) flush(fd);
            if (events[i].events & ~EPOLLOUT) receive(fd);
        }
    }
}
