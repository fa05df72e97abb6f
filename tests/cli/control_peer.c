/* SPDX-License-Identifier: MIT */
/* Peers of tests/cli/control that vcpuctl is not:
 *     say PATH           sends standard input, and prints what comes within half a second
 *     flood PATH         sends requests and reads no answer, until it is hung up on: then it prints "hung up"
 *     hold PATH COUNT    connects so many times, says half a request each time, prints "held", and waits for SIGTERM
 *     dead PATH          leaves a socket without a machine */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address = { .sun_family = AF_UNIX };

static int reach(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) {
		perror(address.sun_path);
		exit(1);
	}
	return fd;
}

static void say(void)
{
	static char data[100000];
	size_t len = fread(data, 1, sizeof data, stdin);
	int fd = reach();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	send(fd, data, len, MSG_NOSIGNAL);
	while (poll(&p, 1, 500) > 0 && (n = recv(fd, data, sizeof data, 0)) > 0)
		fwrite(data, 1, (size_t)n, stdout);
}

static void flood(void)
{
	static const char request[] = "status\nstatus\nstatus\nstatus\nstatus\nstatus\nstatus\nstatus\n";
	int fd = reach();

	while (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0)
		;
	puts("hung up");
}

static void hold(int count)
{
	for (int i = 0; i < count; i++)
		send(reach(), "stat", 4, MSG_NOSIGNAL);
	puts("held");
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	if (argc < 3 || strlen(argv[2]) >= sizeof address.sun_path)
		return 2;
	strcpy(address.sun_path, argv[2]);
	if (!strcmp(argv[1], "say"))
		say();
	else if (!strcmp(argv[1], "flood"))
		flood();
	else if (!strcmp(argv[1], "hold"))
		hold(argc > 3 ? atoi(argv[3]) : 1);
	else
		return bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address) != 0;
	return 0;
}
