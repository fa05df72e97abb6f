/* SPDX-License-Identifier: MIT */
/* A fuzzer of one function of an ELF file: FUNCTION(const char *data, size_t size), of a static program for x86-64 that
 * needs no system call. Each run begins in the same snapshot; inputs that reach new edges are kept and changed further.
 * An input lies at the end of its page, so that a read behind it finds no memory. SIZE is never 0.
 *
 *     cc fuzz_function.c $(pkg-config --cflags --libs libvcpu) && ./a.out FILE FUNCTION [RUNS] */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_hook.h>
#include <vcpu_snapshot.h>

enum { PAGE = 0x1000, STACK = 0x10000000, STACK_BYTES = 0x100000, INPUT = 0x20000000, RETURN = 0x30000000, MAP = 1 << 13,
       MAX = 64, KEPT = 256, LIMIT = 100000 };

static uint8_t map[MAP], known[MAP];
static struct input { size_t size; uint8_t data[MAX]; } kept[KEPT] = { { 4, "AAAA" } };
static unsigned nkept = 1;
static vcpu *v;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "fuzz_function: %s: %s\n", what, why);
	exit(2);
}

static uint8_t *read_file(const char *name, size_t *size)
{
	FILE *f = fopen(name, "rb");
	uint8_t *data = malloc(1 << 26);

	*size = f && data ? fread(data, 1, 1 << 26, f) : 0;
	if (*size < sizeof(Elf64_Ehdr) || memcmp(data, ELFMAG, SELFMAG) || data[EI_CLASS] != ELFCLASS64)
		fail(name, "it cannot be read, or is no ELF file of 64 bits");
	return data;
}

/* Addresses are linear and physical: in 64-bit mode a bare processor has an identity map. */
static void load(const uint8_t *file)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)file;
	const Elf64_Phdr *p = (const Elf64_Phdr *)(file + h->e_phoff);
	uint64_t first = ~0ull, end = 0;

	for (unsigned i = 0; i < h->e_phnum; i++)
		if (p[i].p_type == PT_LOAD) {
			first = p[i].p_vaddr < first ? p[i].p_vaddr : first;
			end = p[i].p_vaddr + p[i].p_memsz > end ? p[i].p_vaddr + p[i].p_memsz : end;
		}
	first &= ~(uint64_t)(PAGE - 1);
	if (end <= first || vcpu_map(v, first, (end - first + PAGE - 1) & ~(uint64_t)(PAGE - 1)))
		fail("the program", vcpu_error(v));
	for (unsigned i = 0; i < h->e_phnum; i++)
		if (p[i].p_type == PT_LOAD)
			vcpu_write_physical(v, p[i].p_vaddr, file + p[i].p_offset, p[i].p_filesz);
}

static uint64_t symbol(const uint8_t *file, const char *name)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)file;
	const Elf64_Shdr *s = (const Elf64_Shdr *)(file + h->e_shoff);

	for (unsigned i = 0; i < h->e_shnum; i++)
		for (uint64_t k = 0; s[i].sh_type == SHT_SYMTAB && k < s[i].sh_size / sizeof(Elf64_Sym); k++) {
			const Elf64_Sym *y = (const Elf64_Sym *)(file + s[i].sh_offset) + k;

			if (!strcmp((const char *)file + s[s[i].sh_link].sh_offset + y->st_name, name))
				return y->st_value;
		}
	fail(name, "there is no such symbol");
	return 0;
}

static uint32_t any(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13, x ^= x >> 7, x ^= x << 17;
	return (uint32_t)(x >> 16);
}

static struct input changed(struct input in)
{
	for (unsigned n = any() % 3; n < 3; n++) {
		if (any() % 8 == 0)
			in.size = any() % MAX + 1;
		in.data[any() % in.size] = any() & 1 ? (uint8_t)any()
						     : (uint8_t)(in.data[any() % in.size] ^ 1u << any() % 8);
	}
	return in;
}

static struct vcpu_stop run(const vcpu_snapshot *s, const struct input *in)
{
	uint64_t at = INPUT + PAGE - in->size;

	if (vcpu_snapshot_restore(v, s))
		fail("a restore", vcpu_error(v));
	memset(map, 0, MAP);
	vcpu_write_physical(v, at, in->data, in->size);
	vcpu_set(v, VCPU_RDI, at);
	vcpu_set(v, VCPU_RSI, in->size);
	return vcpu_run(v, LIMIT);
}

static bool is_new(void)
{
	bool found = false;

	for (unsigned i = 0; i < MAP; i++)
		if (map[i] && !known[i]) {
			known[i] = 1;
			found = true;
		}
	return found;
}

int main(int argc, char **argv)
{
	const struct vcpu_hook hook = { .kinds = VCPU_HOOK_EDGE, .observer = true, .map = map, .map_size = MAP };
	struct vcpu_config config = { .bare = true };
	unsigned long runs = argc > 3 ? strtoul(argv[3], NULL, 0) : 1000000, n;
	uint64_t back = RETURN;
	vcpu_snapshot *s;
	uint8_t *file;
	size_t size;

	if (argc < 3)
		return fprintf(stderr, "fuzz_function FILE FUNCTION [RUNS]\n"), 2;
	file = read_file(argv[1], &size);
	v = vcpu_new(&config, NULL);
	load(file);
	if (vcpu_map(v, STACK, STACK_BYTES) || vcpu_map(v, INPUT, PAGE) || vcpu_set_mode(v, 64) ||
	    vcpu_hook_add(v, &hook) < 0)
		fail("the machine", vcpu_error(v));
	vcpu_set(v, VCPU_RIP, symbol(file, argv[2]));
	vcpu_set(v, VCPU_RSP, STACK + STACK_BYTES - 8); /* as behind a CALL */
	vcpu_write_physical(v, STACK + STACK_BYTES - 8, &back, 8);
	s = vcpu_snapshot_take(v);
	for (n = 0; n < runs; n++) {
		struct input in = n ? changed(kept[any() % nkept]) : kept[0];
		struct vcpu_stop stop = run(s, &in);

		if (stop.reason == VCPU_STOP_MISSING && stop.address == RETURN) {
			if (is_new() && nkept < KEPT)
				kept[nkept++] = in;
			continue;
		}
		printf("run %lu: %s", n, vcpu_stop_name(stop.reason));
		if (stop.reason != VCPU_STOP_LIMIT)
			printf(" at %" PRIx64 "h, address %" PRIx64 "h", vcpu_get(v, VCPU_RIP), stop.address);
		printf("; the input is ");
		for (size_t i = 0; i < in.size; i++)
			printf("%02x", in.data[i]);
		putchar('\n');
		return 1;
	}
	printf("%lu runs, %u inputs kept\n", n, nkept);
	return 0;
}
