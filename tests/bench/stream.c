/* SPDX-License-Identifier: MIT */
/* stream serve PORT BYTES          on the host: whoever connects says which way, a byte: 'g' gets BYTES, 'p' puts until its end, and is answered a byte
 * stream get|put ADDRESS PORT BYTES   in the guest. Its status is 0 when all BYTES have arrived, at the other end too. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536];

static int put(int fd, long long bytes)
{
	for (ssize_t n; bytes > 0; bytes -= n) {
		n = write(fd, buffer, bytes < (long long)sizeof buffer ? (size_t)bytes : sizeof buffer);
		if (n <= 0)
			return 1;
	}
	return 0;
}

static long long get(int fd)
{
	long long bytes = 0;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof buffer)) > 0)
		bytes += n;
	return bytes;
}

static int serve(int fd, long long bytes)
{
	int one = 1;

	signal(SIGPIPE, SIG_IGN);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (listen(fd, 4))
		return 1;
	for (;;) {
		int c = accept(fd, NULL, NULL);
		char way = 0, all;

		if (c < 0)
			continue;
		if (read(c, &way, 1) == 1 && way == 'g')
			put(c, bytes);
		else if (way == 'p') {
			all = get(c) == bytes;
			put(c, all); /* a byte if all is there, else none */
		}
		close(c);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), server = argc == 4 && !strcmp(argv[1], "serve");
	long long bytes = argc >= 4 ? atoll(argv[argc - 1]) : 0;
	char ok = 0;

	if (fd < 0 || (!server && argc != 5))
		return 2;
	address.sin_port = htons((unsigned short)atoi(argv[argc - 2]));
	inet_pton(AF_INET, server ? "127.0.0.1" : argv[2], &address.sin_addr);
	if ((server ? bind : connect)(fd, (struct sockaddr *)&address, sizeof address)) {
		perror(argv[1]);
		return 1;
	}
	if (server)
		return serve(fd, bytes);
	if (write(fd, argv[1], 1) != 1)
		return 1;
	if (*argv[1] == 'g')
		return get(fd) != bytes;
	if (put(fd, bytes) || shutdown(fd, SHUT_WR))
		return 1;
	return read(fd, &ok, 1) != 1;
}
