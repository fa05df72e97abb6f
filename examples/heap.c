/* SPDX-License-Identifier: MIT */
/* A checker of the heap's use over a bare flat binary, without a change of its code: every access to the heap is
 * compared with what is allocated. The program is loaded at 1000h and entered there in 64-bit mode. It asks for memory
 * by INT 80h: EAX 1 allocates RDI bytes and returns them in RAX, EAX 2 frees the block at RDI; HLT ends it.
 *
 *     cc heap.c $(pkg-config --cflags --libs libvcpu) && ./a.out [FILE] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vcpu_hook.h>

enum { CODE = 0x1000, CODE_BYTES = 0xf000, STACK = 0x20000, HEAP = 0x100000, HEAP_BYTES = 0x100000, BLOCKS = 1024,
       REDZONE = 16 };

static const unsigned char sample[] = {
	0xB8, 1, 0, 0, 0, 0xBF, 16, 0, 0, 0, 0xCD, 0x80, /* rax = malloc(16) */
	0x48, 0x89, 0xC3,                                /* mov rbx, rax */
	0xC7, 0x43, 12, 1, 0, 0, 0,                      /* mov dword [rbx+12], 1 */
	0xC7, 0x43, 14, 1, 0, 0, 0,                      /* mov dword [rbx+14], 1    two bytes too far */
	0x8B, 0x0B,                                      /* mov ecx, [rbx]           was not written */
	0xB8, 2, 0, 0, 0, 0x48, 0x89, 0xDF, 0xCD, 0x80,  /* free(rbx) */
	0x8A, 0x53, 12,                                  /* mov dl, [rbx+12]         after its end */
	0xB8, 2, 0, 0, 0, 0xCD, 0x80,                    /* free(rbx)                again */
	0xB8, 1, 0, 0, 0, 0xBF, 8, 0, 0, 0, 0xCD, 0x80,  /* malloc(8)                is not freed */
	0xF4
};

enum state { NEVER, FREE, FRESH, WRITTEN };
static unsigned char states[HEAP_BYTES];  /* of each byte */
static struct block { uint64_t at, size; bool freed; } blocks[BLOCKS];
static unsigned nblocks, faults;
static vcpu *v;

static void report(const char *what, uint64_t address)
{
	faults++;
	printf("%" PRIx64 "h: %s %" PRIx64 "h", vcpu_get(v, VCPU_RIP), what, address);
	for (unsigned i = nblocks; i-- > 0;)
		if (address >= blocks[i].at) {
			printf(", byte %" PRIu64 " of %" PRIu64 "%s", address - blocks[i].at, blocks[i].size,
			       blocks[i].freed ? ", which are free" : "");
			break;
		}
	putchar('\n');
}

static enum vcpu_hook_answer access(void *user, struct vcpu_hook_event *e)
{
	(void)user;
	for (uint64_t i = 0; i < e->size; i++) {
		uint64_t at = e->address + i - HEAP;

		if (at >= HEAP_BYTES)
			continue;
		if (states[at] < FRESH || (states[at] == FRESH && !e->write)) {
			report(states[at] == FRESH ? "reads what was not written," : e->write ? "writes" : "reads",
			       e->address + i);
			break;
		}
		if (e->write)
			states[at] = WRITTEN;
	}
	return VCPU_HOOK_GO;
}

static void set(const struct block *b, enum state state)
{
	for (uint64_t i = 0; i < b->size; i++)
		states[b->at - HEAP + i] = (unsigned char)state;
}

/* Blocks are never used again, so that what is freed stays known. */
static uint64_t allocate(uint64_t size)
{
	uint64_t at = nblocks ? blocks[nblocks - 1].at + blocks[nblocks - 1].size : HEAP;

	at = (at + REDZONE + 15) & ~15ull;
	if (nblocks == BLOCKS || size > HEAP + HEAP_BYTES - at)
		return 0;
	blocks[nblocks] = (struct block){ at, size, false };
	set(&blocks[nblocks++], FRESH);
	return at;
}

static void release(uint64_t at)
{
	for (unsigned i = 0; i < nblocks; i++)
		if (blocks[i].at == at && !blocks[i].freed) {
			set(&blocks[i], FREE);
			blocks[i].freed = true;
			return;
		}
	report("frees", at);
}

static enum vcpu_hook_answer service(void *user, struct vcpu_hook_event *e)
{
	(void)user, (void)e;
	if ((uint32_t)vcpu_get(v, VCPU_RAX) == 1)
		vcpu_set(v, VCPU_RAX, allocate(vcpu_get(v, VCPU_RDI)));
	else
		release(vcpu_get(v, VCPU_RDI));
	return VCPU_HOOK_SKIP;
}

int main(int argc, char **argv)
{
	static unsigned char program[CODE_BYTES];
	const struct vcpu_hook hooks[] = {
		{ .kinds = VCPU_HOOK_INSN, .instruction = "int", .call = service },
		{ .kinds = VCPU_HOOK_READ | VCPU_HOOK_WRITE, .first = HEAP, .last = HEAP + HEAP_BYTES - 1,
		  .observer = true, .call = access },
	};
	struct vcpu_config config = { .bare = true };
	FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
	size_t size = f ? fread(program, 1, sizeof program, f) : 0;
	struct vcpu_stop stop;

	if (argc > 1 && !size)
		return fprintf(stderr, "%s cannot be read\n", argv[1]), 2;
	v = vcpu_new(&config, NULL);
	if (!v || vcpu_map(v, 0, STACK) || vcpu_map(v, HEAP, HEAP_BYTES) || vcpu_set_mode(v, 64) ||
	    vcpu_hook_add(v, &hooks[0]) < 0 || vcpu_hook_add(v, &hooks[1]) < 0)
		return fprintf(stderr, "%s\n", vcpu_error(v)), 2;
	vcpu_write_physical(v, CODE, f ? program : sample, f ? size : sizeof sample);
	vcpu_set(v, VCPU_RIP, CODE);
	vcpu_set(v, VCPU_RSP, STACK);
	do
		stop = vcpu_run(v, 100000000);
	while (stop.reason == VCPU_STOP_LIMIT);
	for (unsigned i = 0; i < nblocks; i++)
		if (!blocks[i].freed)
			printf("%" PRIu64 " bytes at %" PRIx64 "h are never freed\n", blocks[i].size, blocks[i].at);
	printf("%s after %" PRIu64 " instructions; %u faults\n", vcpu_stop_name(stop.reason), vcpu_instructions(v),
	       faults);
	vcpu_free(v);
	return faults != 0;
}
