/* SPDX-License-Identifier: MIT */
/* Nothing that a guest does keeps vcpu_run from coming back: what retires nothing passes time, and vcpu_stop is seen
 * within the time that vcpu.h says. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include "lib/machine.h"
#include "lib/vcpu.h"
#include "lib/vcpu_debug.h"
#include "lib/vcpu_replay.h"

struct guest { const char *name; const unsigned char *code; size_t len; const char *display; };

#define CODE(...) (const unsigned char[]){ __VA_ARGS__ }, sizeof (const unsigned char[]){ __VA_ARGS__ }

/* Boot sectors at 7C00h, entered in real mode. */
static const struct guest guests[] = {
	/* A data breakpoint on the vector of #DB: delivering the trap reads it, which is the next trap (compare
	 * CVE-2015-8104)
	 *   mov eax,4; mov dr0,eax; mov eax,000f0001h; mov dr7,eax; mov ax,[4]; jmp $ */
	{ "db on its vector", CODE(0x66, 0xb8, 4, 0, 0, 0, 0xf, 0x23, 0xc0, 0x66, 0xb8, 1, 0, 0xf, 0, 0xf, 0x23, 0xf8,
		0xa1, 4, 0, 0xeb, 0xfe), NULL },
	/* a code breakpoint on the handler of #DB
	 *   xor ax,ax; mov ds,ax; mov word [4],h; mov word [6],ax; mov ss,ax; mov sp,7000h; mov eax,h; mov dr0,eax; mov eax,1; mov
	 *   dr7,eax; h: jmp $ */
	{ "breakpoint on handler", CODE(0x31, 0xc0, 0x8e, 0xd8, 0xc7, 6, 4, 0, 0x24, 0x7c, 0xa3, 6, 0, 0x8e, 0xd0, 0xbc,
		0, 0x70, 0x66, 0xb8, 0x24, 0x7c, 0, 0,
		0xf, 0x23, 0xc0, 0x66, 0xb8, 1, 0, 0, 0, 0xf, 0x23, 0xf8, 0xeb, 0xfe), NULL },
	/* no memory at either end
	 *   mov ax,0a000h; mov es,ax; mov ds,ax; l: xor si,si; xor di,di; mov cx,0ffffh; rep movsb; jmp l */
	{ "rep movs hole", CODE(0xb8, 0, 0xa0, 0x8e, 0xc0, 0x8e, 0xd8, 0x31, 0xf6, 0x31, 0xff, 0xb9, 0xff, 0xff, 0xf3,
		0xa4, 0xeb, 0xf5), NULL },
	/* a display adapter's memory
	 *   mov ax,0a000h; mov es,ax; l: xor di,di; mov cx,0ffffh; rep stosb; jmp l */
	{ "rep stos mmio", CODE(0xb8, 0, 0xa0, 0x8e, 0xc0, 0x31, 0xff, 0xb9, 0xff, 0xff, 0xf3, 0xaa, 0xeb, 0xf7),
		"vga" },
	/* mov ax,2000h; mov es,ax; mov dx,3fdh; l: xor di,di; mov cx,0ffffh; rep insb; jmp l */
	{ "rep ins", CODE(0xb8, 0, 0x20, 0x8e, 0xc0, 0xba, 0xfd, 3, 0x31, 0xff, 0xb9, 0xff, 0xff, 0xf3, 0x6c, 0xeb,
		0xf7), NULL },
	/* mov dx,80h; l: xor si,si; mov cx,0ffffh; rep outsb; jmp l */
	{ "rep outs", CODE(0xba, 0x80, 0, 0x31, 0xf6, 0xb9, 0xff, 0xff, 0xf3, 0x6e, 0xeb, 0xf7), NULL },
	/* in memory
	 *   mov ax,2000h; mov es,ax; mov ds,ax; l: xor si,si; mov di,8000h; mov cx,7fffh; rep cmpsb; mov di,1; mov cx,3fffh; repe scasd;
	 *   jmp l */
	{ "rep cmps scas", CODE(0xb8, 0, 0x20, 0x8e, 0xc0, 0x8e, 0xd8, 0x31, 0xf6, 0xbf, 0, 0x80, 0xb9, 0xff, 0x7f,
		0xf3, 0xa6, 0xbf, 1, 0, 0xb9, 0xff,
		0x3f, 0xf3, 0x66, 0xaf, 0xeb, 0xeb), NULL },
	/* 32 words down and up a stack where there is no memory
	 *   mov ax,0a000h; mov ss,ax; mov sp,8001h; mov bp,sp; l: enter 0,31; leave; jmp l */
	{ "enter 31", CODE(0xb8, 0, 0xa0, 0x8e, 0xd0, 0xbc, 1, 0x80, 0x89, 0xe5, 0xc8, 0, 0, 0x1f, 0xc9, 0xeb, 0xf9),
		NULL },
	/* to where there is no memory
	 *   mov eax,cr4; or eax,40600h; mov cr4,eax; xor ecx,ecx; xor edx,edx; mov eax,7; xsetbv; mov ax,0a000h; mov ds,ax; mov eax,7; l:
	 *   xsave [0]; xsave [64]; jmp l */
	{ "xsave hole", CODE(0xf, 0x20, 0xe0, 0x66, 0xd, 0, 6, 4, 0, 0xf, 0x22, 0xe0, 0x66, 0x31, 0xc9, 0x66, 0x31,
		0xd2, 0x66, 0xb8, 7, 0, 0, 0,
		0xf, 1, 0xd1, 0xb8, 0, 0xa0, 0x8e, 0xd8, 0x66, 0xb8, 7, 0, 0, 0, 0xf, 0xae, 0x26, 0, 0, 0xf, 0xae, 0x26,
		0x40, 0, 0xeb,
		0xf4), NULL },
	/* fninit; fldpi; l: fld st0; fsin; fptan; fstp st0; fstp st0; fldpi; fyl2x; jmp l */
	{ "x87", CODE(0xdb, 0xe3, 0xd9, 0xeb, 0xd9, 0xc0, 0xd9, 0xfe, 0xd9, 0xf2, 0xdd, 0xd8, 0xdd, 0xd8, 0xd9, 0xeb,
		0xd9, 0xf1, 0xeb, 0xf0), NULL },
	/* each handler is the fault's own instruction: nothing ever retires
	 *   xor ax,ax; mov ds,ax; mov ss,ax; mov word [24],h; mov [26],ax; h: ud2 */
	{ "ud loop", CODE(0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xc7, 6, 0x18, 0, 0xf, 0x7c, 0xa3, 0x1a, 0, 0xf, 0xb),
		NULL },
	/* xor ax,ax; mov ds,ax; mov ss,ax; mov word [52],h; mov [54],ax; h: mov eax,[ds:0ffffh]; jmp h */
	{ "gp loop", CODE(0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xc7, 6, 0x34, 0, 0xf, 0x7c, 0xa3, 0x36, 0, 0x3e, 0x66,
		0xa1, 0xff, 0xff, 0xeb, 0xf9), NULL },
	/* xor ax,ax; mov ds,ax; mov ss,ax; mov word [12],h; mov [14],ax; h: int3 */
	{ "int3 loop", CODE(0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xc7, 6, 0xc, 0, 0xf, 0x7c, 0xa3, 0xe, 0, 0xcc), NULL },
	/* the handler sets TF again
	 *   xor ax,ax; mov ds,ax; mov ss,ax; mov word [4],h; mov [6],ax; pushf; pop ax; or ax,100h; push ax; popf; h: push bp; mov bp,sp;
	 *   or word [bp+6],100h; pop bp; iret */
	{ "single step", CODE(0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xc7, 6, 4, 0, 0x16, 0x7c, 0xa3, 6, 0, 0x9c, 0x58,
		0xd, 0, 1, 0x50, 0x9d, 0x55,
		0x89, 0xe5, 0x81, 0x4e, 6, 0, 1, 0x5d, 0xcf), NULL },
	/* ticks, of which only the first is delivered
	 *   xor ax,ax; mov ds,ax; mov word [32],h; mov [34],ax; mov al,36h; out 43h,al; mov al,2; out 40h,al; mov al,0; out 40h,al; mov
	 *   al,11h; out 20h,al; mov al,8; out 21h,al; mov al,4; out 21h,al; mov al,1; out 21h,al; mov al,0feh; out 21h,al; l: sti; hlt;
	 *   jmp l; h: iret */
	{ "hlt no eoi", CODE(0x31, 0xc0, 0x8e, 0xd8, 0xc7, 6, 0x20, 0, 0x31, 0x7c, 0xa3, 0x22, 0, 0xb0, 0x36, 0xe6,
		0x43, 0xb0, 2, 0xe6, 0x40, 0xb0,
		0, 0xe6, 0x40, 0xb0, 0x11, 0xe6, 0x20, 0xb0, 8, 0xe6, 0x21, 0xb0, 4, 0xe6, 0x21, 0xb0, 1, 0xe6, 0x21,
		0xb0, 0xfe, 0xe6,
		0x21, 0xfb, 0xf4, 0xeb, 0xfc, 0xcf), NULL },
	/* level-triggered IRQ 4 with automatic EOI through a trap gate: delivered again before its handler begins, on a
	 * stack that wraps
	 *   cli; mov al,11h; out 20h,al; mov al,20h; out 21h,al; mov al,4; out 21h,al; mov al,3; out 21h,al; mov al,0efh; out 21h,al; mov
	 *   dx,4d0h; mov al,10h; out dx,al; mov dx,3fch; mov al,8; out dx,al; mov dx,3f9h; mov al,2; out dx,al; lgdt [gdtr]; lidt [idtr];
	 *   mov eax,cr0; or al,1; mov cr0,eax; jmp 8:p; p: mov ax,16; mov ss,ax; mov ds,ax; sti; h: jmp h; gdtr: dw 23; dd gdt; idtr: dw
	 *   0x24*8+7; dd gate-0x24*8; align 8; gdt: dq 0; dq 000009b000000ffffh; dq 0000093010000ffffh; gate: dw h,8,8700h,0 */
	{ "level interrupt", CODE(0xfa, 0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x20, 0xe6, 0x21, 0xb0, 4, 0xe6, 0x21, 0xb0, 3,
		0xe6, 0x21, 0xb0, 0xef, 0xe6, 0x21,
		0xba, 0xd0, 4, 0xb0, 0x10, 0xee, 0xba, 0xfc, 3, 0xb0, 8, 0xee, 0xba, 0xf9, 3, 0xb0, 2, 0xee, 0xf, 1,
		0x16, 0x48, 0x7c,
		0xf, 1, 0x1e, 0x4e, 0x7c, 0xf, 0x20, 0xc0, 0xc, 1, 0xf, 0x22, 0xc0, 0xea, 0x3e, 0x7c, 8, 0, 0xb8, 0x10,
		0, 0x8e, 0xd0,
		0x8e, 0xd8, 0xfb, 0xeb, 0xfe, 0x17, 0, 0x58, 0x7c, 0, 0, 0x27, 1, 0x50, 0x7b, 0, 0, 0x90, 0x90, 0x90,
		0x90, 0, 0, 0, 0,
		0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0x9b, 0, 0, 0xff, 0xff, 0, 0, 1, 0x93, 0, 0, 0x46, 0x7c, 8, 0, 0, 0x87,
		0, 0), NULL },
	/* two tasks that jump to each other
	 *   cli; lgdt [gdtr]; mov eax,cr0; or al,1; mov cr0,eax; jmp 8:p; p: mov ax,24; ltr ax; mov ax,16; mov ss,ax; mov ds,ax; mov
	 *   dword [tb+32],h; mov word [tb+72],16; mov word [tb+76],8; mov word [tb+80],16; mov word [tb+84],16; l: jmp 32:0; jmp l; h:
	 *   jmp 24:0; jmp h; gdtr: dw 39; dd gdt; align 8; gdt: dq 0; dq 000009b000000ffffh; dq 0000093000000ffffh; dw 103,ta; dd 8900h;
	 *   dw 103,tb; dd 8900h; ta equ 6000h; tb equ 6100h */
	{ "task switches", CODE(0xfa, 0xf, 1, 0x16, 0x4f, 0x7c, 0xf, 0x20, 0xc0, 0xc, 1, 0xf, 0x22, 0xc0, 0xea, 0x13,
		0x7c, 8, 0, 0xb8, 0x18, 0, 0xf, 0,
		0xd8, 0xb8, 0x10, 0, 0x8e, 0xd0, 0x8e, 0xd8, 0x66, 0xc7, 6, 0x20, 0x61, 0x48, 0x7c, 0, 0, 0xc7, 6, 0x48,
		0x61, 0x10, 0,
		0xc7, 6, 0x4c, 0x61, 8, 0, 0xc7, 6, 0x50, 0x61, 0x10, 0, 0xc7, 6, 0x54, 0x61, 0x10, 0, 0xea, 0, 0, 0x20,
		0, 0xeb, 0xf9,
		0xea, 0, 0, 0x18, 0, 0xeb, 0xf9, 0x27, 0, 0x58, 0x7c, 0, 0, 0x90, 0x90, 0x90, 0, 0, 0, 0, 0, 0, 0, 0,
		0xff, 0xff, 0, 0,
		0, 0x9b, 0, 0, 0xff, 0xff, 0, 0, 0, 0x93, 0, 0, 0x67, 0, 0, 0x60, 0, 0x89, 0, 0, 0x67, 0, 0, 0x61, 0,
		0x89, 0, 0), NULL },
};
enum { GUESTS = sizeof guests / sizeof *guests };

static vcpu *make(const struct guest *g, unsigned processors)
{
	unsigned char sector[512] = { [510] = 0x55, 0xaa };
	struct vcpu_config config = { .memory = 2 << 20, .kernel_data = sector, .kernel_size = sizeof sector,
		.display = g->display, .processors = processors };
	char *error = NULL;
	vcpu *v;

	memcpy(sector, g->code, g->len);
	v = vcpu_new(&config, &error);
	ck_assert_msg(v != NULL, "%s", error);
	return v;
}

static bool goes_on(struct vcpu_stop stop) { return stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE; }

/* Each call comes back, and not before its time has passed. */
START_TEST(comes_back)
{
	const struct guest *g = &guests[_i];

	for (unsigned processors = 1; processors <= 2; processors++) {
		vcpu *v = make(g, processors);

		for (unsigned i = 0; i < 10; i++) {
			uint64_t instructions = vcpu_instructions(v), ns = vcpu_virtual_ns(v);
			struct vcpu_stop stop = vcpu_run(v, 100);

			instructions = vcpu_instructions(v) - instructions;
			ns = vcpu_virtual_ns(v) - ns;
			ck_assert_msg(goes_on(stop), "%s: %s", g->name, vcpu_stop_name(stop.reason));
			ck_assert_msg(ns >= 100 && instructions <= 100, "%s: %llu ns, %llu instructions", g->name,
				(unsigned long long)ns,
				(unsigned long long)instructions);
		}
		vcpu_free(v);
	}
}
END_TEST

/* Repeated string instructions where nothing is: paged (64-bit), with and without a debugger that makes them go element
 * by element. 200000h to 20FFFFh is memory. */
START_TEST(holes)
{
	static const struct { int reg; uint64_t is; } want[] = {
		{ VCPU_RBX, 0 }, { VCPU_RDX, 0x27ff }, { VCPU_R8, 0x3fff8ffc }, { VCPU_R9, 0x4fff8ffc },
			{ VCPU_R10, 0x60018001 }, { VCPU_R11, 0xffff },
		{ VCPU_R12, 0x70028000 },
	};
	static const unsigned char code[] = {
		/* cld; mov esi, 0x400007f8; mov edi, 0x201800; mov ecx, 0x400; rep movsq; mov rbx, rcx */
		0xfc, 0xbe, 0xf8, 7, 0, 0x40, 0xbf, 0, 0x18, 0x20, 0, 0xb9, 0, 4, 0, 0, 0xf3, 0x48, 0xa5, 0x48, 0x89,
			0xcb,
		/* mov esi, 0x202000 (ones up to 0x203800); mov edi, 0x40000000; mov ecx, 0x4000; repe cmpsb; mov rdx,
		 * rcx */
		0xbe, 0, 0x20, 0x20, 0, 0xbf, 0, 0, 0, 0x40, 0xb9, 0, 0x40, 0, 0, 0xf3, 0xa6, 0x48, 0x89, 0xca,
		/* mov esi, 0x40000ffc; mov edi, 0x50000ffc; mov ecx, 0x2000; std; rep movsd; mov r8, rsi; mov r9, rdi
		 * */
		0xbe, 0xfc, 0xf, 0, 0x40, 0xbf, 0xfc, 0xf, 0, 0x50, 0xb9, 0, 0x20, 0, 0, 0xfd, 0xf3, 0xa5, 0x49, 0x89,
			0xf0, 0x49, 0x89, 0xf9,
		/* cld; mov edi, 0x60000001; mov rax, -1; mov ecx, 0x3000; repe scasq; mov r10, rdi */
		0xfc, 0xbf, 1, 0, 0, 0x60, 0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xb9, 0, 0x30, 0, 0, 0xf3, 0x48,
			0xaf, 0x49, 0x89, 0xfa,
		/* mov esi, 0x60000000; mov ecx, 0x5000; xor eax, eax; rep lodsw; mov r11, rax */
		0xbe, 0, 0, 0, 0x60, 0xb9, 0, 0x50, 0, 0, 0x31, 0xc0, 0xf3, 0x66, 0xad, 0x49, 0x89, 0xc3,
		/* mov edi, 0x70000000; mov ecx, 0x5000; rep stosq; mov r12, rdi; hlt */
		0xbf, 0, 0, 0, 0x70, 0xb9, 0, 0x50, 0, 0, 0xf3, 0x48, 0xab, 0x49, 0x89, 0xfc, 0xf4,
	};
	struct vcpu_config config = { .bare = true };

	for (unsigned watched = 0; watched < 2; watched++) {
		vcpu *v = vcpu_new(&config, NULL);
		vcpu_debug *d = NULL;
		unsigned char byte;

		ck_assert_ptr_nonnull(v);
		ck_assert_int_eq(vcpu_map(v, 0x200000, 0x10000), 0);
		v->cpu->all->missing_stops = false; /* holes as those of a PC: a read gives ones */
		ck_assert_int_eq(vcpu_set_mode(v, 64), 0);
		ck_assert_uint_eq(vcpu_write_physical(v, 0x200000, code, sizeof code), sizeof code);
		ck_assert_int_eq(vcpu_set(v, VCPU_RIP, 0x200000), 0);
		if (watched)
			ck_assert_ptr_nonnull(d = vcpu_debug_new(v, NULL, NULL));
		if (watched)
			vcpu_debug_run(d, 1000);
		else
			ck_assert_int_eq(vcpu_run(v, 1000).reason, VCPU_STOP_IDLE);
		for (unsigned i = 0; i < sizeof want / sizeof *want; i++)
			ck_assert_msg(vcpu_get(v, want[i].reg) == want[i].is, "%s is %llx",
				vcpu_register_name(want[i].reg),
				(unsigned long long)vcpu_get(v, want[i].reg));
		for (unsigned at = 0x1000; at < 0x10000; at++) {
			ck_assert_uint_eq(vcpu_read_physical(v, 0x200000 + at, &byte, 1), 1);
			ck_assert_uint_eq(byte, at >= 0x1800 && at < 0x3800 ? 0xff : 0);
		}
		vcpu_debug_free(d);
		vcpu_free(v);
	}
}
END_TEST

/* ---- vcpu_stop ---- */

static vcpu *running;
static volatile uint64_t asked_at;

/* Of the processor's time: this machine has other things to do. */
static uint64_t host_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void ask(int n)
{
	(void)n;
	asked_at = host_ns();
	vcpu_stop(running);
}

#if defined __SANITIZE_ADDRESS__ || !defined __OPTIMIZE__
enum { SLOWER = 20 };
#else
enum { SLOWER = 1 };
#endif

START_TEST(stop_is_seen)
{
	const struct guest *g = &guests[_i];
	uint64_t worst = 0;

	running = make(g, 1);
	signal(SIGPROF, ask);
	for (unsigned i = 0; i < 5; i++) {
		const struct itimerval soon = { .it_value.tv_usec = 20000 };
		struct vcpu_stop stop;

		setitimer(ITIMER_PROF, &soon, NULL);
		do
			stop = vcpu_run(running, ~(uint64_t)0);
		while (stop.reason == VCPU_STOP_IDLE); /* the end of time */
		if (host_ns() - asked_at > worst)
			worst = host_ns() - asked_at;
		ck_assert_msg(stop.reason == VCPU_STOP_REQUEST, "%s: %s", g->name, vcpu_stop_name(stop.reason));
	}
	ck_assert_msg(worst < 50000000 * SLOWER, "%s: vcpu_stop was seen after %llu us", g->name,
		      (unsigned long long)worst / 1000);
	if (getenv("BOUND_VERBOSE"))
		fprintf(stderr, "%s: %llu us\n", g->name, (unsigned long long)worst / 1000);
	vcpu_free(running);
}
END_TEST

/* Each stop that another thread asks for comes once, and what that has written before is there. */
enum { STOPS = 300 };
static unsigned told;          /* no atomic: vcpu_stop comes behind it */
static atomic_uint seen;

static void *ask_often(void *v)
{
	for (unsigned i = 1; i <= STOPS; i++) {
		told = i;
		vcpu_stop(v);
		while (seen != i)
			sched_yield();
	}
	return NULL;
}

START_TEST(from_a_thread)
{
	const struct guest loop = { "loop", CODE(0x43, 0xeb, 0xfd), NULL };
	vcpu *v = make(&loop, 1);
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, ask_often, v), 0);
	for (unsigned i = 1; i <= STOPS; i++) {
		ck_assert_int_eq(vcpu_run(v, ~(uint64_t)0).reason, VCPU_STOP_REQUEST);
		ck_assert_uint_eq(told, i);
		seen = i;
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(vcpu_run(v, 1000).reason, VCPU_STOP_LIMIT); /* nobody asks */
	vcpu_free(v);
}
END_TEST

/* ---- the same run, however it is cut, recorded, debugged ---- */

enum { END_NS = 400 };

static uint64_t run_to_end(vcpu *v, uint64_t step, uint64_t ns)
{
	struct vcpu_stop stop;

	vcpu_limit_time(v, ns, ~(uint64_t)0);
	do
		stop = vcpu_run(v, step);
	while (goes_on(stop));
	ck_assert_int_eq(stop.reason, VCPU_STOP_TIME);
	ck_assert_uint_eq(vcpu_virtual_ns(v), ns);
	ck_assert_int_eq(vcpu_run(v, step).reason, VCPU_STOP_TIME); /* and there it stays */
	return vcpu_state_hash(v);
}

START_TEST(cut)
{
	static const unsigned steps[] = { 1, 2, 7, 1000 };
	const struct guest *g = &guests[_i];

	for (unsigned processors = 1; processors <= 2; processors++) {
		vcpu *v = make(g, processors), *w;
		uint64_t hash = run_to_end(v, END_NS, END_NS);

		for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
			w = make(g, processors);
			ck_assert_msg(run_to_end(w, steps[i], END_NS) == hash, "%s, cut by %u", g->name, steps[i]);
			vcpu_free(w);
		}
		w = make(g, processors);
		for (uint64_t ns = 50; ns <= END_NS; ns += 50)
			run_to_end(w, 17, ns);
		ck_assert_msg(vcpu_state_hash(w) == hash, "%s, cut in time", g->name);
		vcpu_free(w);
		vcpu_free(v);
	}
}
END_TEST

/* A debugger stands on every handler; and an element of a repeated instruction is looked at by a slower way while it
 * watches. */
START_TEST(stepped)
{
	const struct guest *g = &guests[_i];
	vcpu *v = make(g, 1), *w = make(g, 1);
	vcpu_debug *d = vcpu_debug_new(w, NULL, NULL);
	uint64_t hash = run_to_end(v, END_NS, END_NS);
	struct vcpu_debug_stop stop;

	ck_assert_ptr_nonnull(d);
	ck_assert_int_ge(vcpu_debug_watch(d, 0x100000, 1, false, true, true), 0);
	vcpu_limit_time(w, END_NS, ~(uint64_t)0);
	for (unsigned i = 0; i < 100; i++)
		vcpu_debug_step(d);
	do
		stop = vcpu_debug_run(d, 1000);
	while (stop.what == VCPU_DEBUG_MACHINE && goes_on(stop.machine));
	ck_assert_int_eq(stop.what, VCPU_DEBUG_MACHINE);
	ck_assert_int_eq(stop.machine.reason, VCPU_STOP_TIME);
	ck_assert_msg(vcpu_state_hash(w) == hash, "%s, under a debugger", g->name);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(vcpu_debug_step_back(d).what, VCPU_DEBUG_THERE);
	ck_assert_uint_lt(vcpu_virtual_ns(w), END_NS);
	vcpu_debug_free(d);
	vcpu_free(w);
	vcpu_free(v);
}
END_TEST

struct tape { unsigned char *data; size_t len; };

static bool write_tape(void *user, const void *data, size_t len)
{
	struct tape *t = user;

	t->data = realloc(t->data, t->len + len);
	memcpy(t->data + t->len, data, len);
	t->len += len;
	return true;
}

START_TEST(replayed)
{
	const struct guest *g = &guests[_i];
	struct tape tape = { 0 };
	struct vcpu_recording r = { .write = write_tape, .user = &tape, .embed = true };
	vcpu *v = make(g, 1);
	struct vcpu_stop stop = { 0 };
	uint64_t hash;
	vcpu_replay *replay;

	ck_assert_int_eq(vcpu_record(v, &r), 0);
	hash = run_to_end(v, 17, END_NS);
	ck_assert(vcpu_record_end(v, NULL));
	vcpu_free(v);
	replay = vcpu_replay_open(tape.data, tape.len, NULL);
	ck_assert_ptr_nonnull(replay);
	vcpu_replay_verify(replay, true);
	v = vcpu_replay_machine(replay, NULL, NULL, NULL);
	ck_assert_ptr_nonnull(v);
	while (!vcpu_replay_done(replay) && !vcpu_replay_divergence(replay))
		stop = vcpu_replay_run(replay, v, 100);
	ck_assert_msg(!vcpu_replay_divergence(replay), "%s: %s", g->name, vcpu_replay_divergence(replay));
	ck_assert_int_eq(stop.reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	vcpu_free(v);
	vcpu_replay_free(replay);
	free(tape.data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bound");
	TCase *t = tcase_create("bound");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, comes_back, 0, GUESTS);
	tcase_add_test(t, holes);
	tcase_add_loop_test(t, stop_is_seen, 0, GUESTS);
	tcase_add_test(t, from_a_thread);
	tcase_add_loop_test(t, cut, 0, GUESTS);
	tcase_add_loop_test(t, stepped, 0, GUESTS);
	tcase_add_loop_test(t, replayed, 0, GUESTS);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
