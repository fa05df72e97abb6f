/* SPDX-License-Identifier: MIT */
/* A program of a Linux guest that counts and samples itself by perf_event_open(2), in a loop whose instructions and
 * branches are known. */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROUND = 4, ROUND_BRANCHES = 2, ROUNDS = 1000000, PERIOD = 10000, PAGES = 8 };

extern const char loop_begin[], loop_end[];

__attribute__((noinline)) static void loop(unsigned long n)
{
	__asm__ volatile("loop_begin:\n"
			 "1:	nop\n"
			 "	jmp	2f\n"
			 "2:	dec	%0\n"
			 "	jnz	1b\n"
			 "loop_end:\n"
			 : "+r"(n)
			 :
			 : "cc");
}

/* Of this program in user mode. */
static int event(unsigned long config, unsigned long period)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_HARDWARE, .size = sizeof attr, .config = config,
					.sample_period = period, .sample_type = period ? PERF_SAMPLE_IP : 0,
					.disabled = 1, .exclude_kernel = 1, .exclude_hv = 1 };
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd < 0)
		perror("perf_event_open");
	return fd;
}

static unsigned long long counted(int fd, unsigned long rounds)
{
	unsigned long long n = 0;

	ioctl(fd, PERF_EVENT_IOC_RESET, 0);
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	loop(rounds);
	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	return read(fd, &n, sizeof n) == sizeof n ? n : 0;
}

/* What a round costs: the rest, as the system calls, is the same for any number of them, unless an interrupt comes. */
static void count(const char *name, unsigned long config)
{
	int fd = event(config, 0);
	unsigned long long few = counted(fd, ROUNDS), many = counted(fd, 2 * ROUNDS);

	printf("perf: %s: %.3f a round\n", name, (double)(many - few) / ROUNDS);
	close(fd);
}

static void sample(void)
{
	const long page = sysconf(_SC_PAGESIZE);
	int fd = event(PERF_COUNT_HW_INSTRUCTIONS, PERIOD);
	struct perf_event_mmap_page *head = mmap(NULL, (1 + PAGES) * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const char *data = (const char *)head + page;
	unsigned samples = 0, inside = 0;

	if (head == MAP_FAILED) {
		perror("mmap");
		return;
	}
	counted(fd, ROUNDS);
	for (unsigned long long at = head->data_tail; at < head->data_head;) {
		const struct perf_event_header *h = (const void *)(data + at % (PAGES * page));
		const char *ip;

		if (h->type == PERF_RECORD_SAMPLE) {
			memcpy(&ip, h + 1, sizeof ip);
			samples++;
			inside += ip >= loop_begin && ip <= loop_end;
		}
		at += h->size;
	}
	printf("perf: %u samples, %u of them in the loop\n", samples, inside);
}

int main(void)
{
	count("instructions", PERF_COUNT_HW_INSTRUCTIONS);
	count("branches", PERF_COUNT_HW_BRANCH_INSTRUCTIONS);
	count("cycles", PERF_COUNT_HW_CPU_CYCLES);
	sample();
	return 0;
}
