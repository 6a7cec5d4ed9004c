/* In place of NVIDIA's driver and decoder, which no test machine has: libcuda.so.1 and
 * libnvcuvid.so.1 in one, as far as FFmpeg uses them to decode. Memory of the card is memory of the
 * process, and every picture is green. With STUB_REFUSES, the card can't decode what it is asked. */
#include <stdlib.h>
#include <string.h>

typedef unsigned long long address;

typedef struct {
    size_t from_x, from_y; int from_kind; char *from_host; address from_card; void *from_array;
    size_t from_pitch;
    size_t to_x, to_y; int to_kind; char *to_host; address to_card; void *to_array;
    size_t to_pitch;
    size_t width, height;
} Copy;

typedef struct {
    int codec, chroma; unsigned deeper, reserved[3];
    unsigned char supported, decoders; unsigned short formats;
    unsigned max_width, max_height, max_blocks; unsigned short min_width, min_height;
} Abilities;

typedef struct {
    unsigned long width, height, surfaces; int codec, chroma;
    unsigned long flags, deeper, intra, max_width, max_height, reserved; short area[4];
    int format, deinterlaced; unsigned long target_width, target_height;
} Wanted;

static Wanted wanted;
static unsigned char *surface;

int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int number) { *device = number; return 0; }
int cuDeviceGetAttribute(int *value, int name, int device) { *value = 512; return 0; }
int cuCtxCreate_v2(void **context, unsigned flags, int device) { *context = &wanted; return 0; }
int cuCtxPopCurrent_v2(void **context) { *context = &wanted; return 0; }
int cuGetErrorName(int error, const char **name) { *name = "stub"; return 0; }
int cuGetErrorString(int error, const char **text) { *text = "stub"; return 0; }
int cuMemAlloc_v2(address *at, size_t size) { *at = (address)calloc(1, size); return 0; }
int cuMemFree_v2(address at) { free((void *)at); return 0; }

int cuMemcpy2DAsync_v2(const Copy *c, void *stream) {
    const char *from = c->from_kind == 1 ? c->from_host : (char *)c->from_card;
    char *to = c->to_kind == 1 ? c->to_host : (char *)c->to_card;
    for (size_t y = 0; y < c->height; y++)
        memcpy(to + (y + c->to_y) * c->to_pitch + c->to_x,
               from + (y + c->from_y) * c->from_pitch + c->from_x, c->width);
    return 0;
}

int cuvidGetDecoderCaps(Abilities *abilities) {
    abilities->supported = getenv("STUB_REFUSES") == NULL;
    abilities->decoders = 1;
    abilities->formats = 3;
    abilities->max_width = abilities->max_height = 8192;
    abilities->max_blocks = 1 << 20;
    abilities->min_width = abilities->min_height = 16;
    return 0;
}

int cuvidCreateDecoder(void **decoder, const Wanted *w) { wanted = *w; *decoder = &wanted; return 0; }

/* NV12, or P016 if `format` is 1. */
int cuvidMapVideoFrame64(void *decoder, int index, address *at, unsigned *pitch, void *settings) {
    const unsigned char green[] = {145, 54, 34};
    unsigned bytes = wanted.format + 1, height = wanted.target_height;
    *pitch = (wanted.target_width * bytes + 511) / 512 * 512;
    if (surface == NULL)
        surface = calloc(*pitch * 2, height);
    for (unsigned y = 0; y < height * 3 / 2; y++)
        for (unsigned x = 0; x < wanted.target_width; x++)
            surface[y * *pitch + x * bytes + bytes - 1] = green[y < height ? 0 : 1 + x % 2];
    *at = (address)surface;
    return 0;
}

/* FFmpeg wants them to be there. */
#define NOTHING(name) int name(void) { return 0; }
NOTHING(cuCtxGetCurrent) NOTHING(cuDeviceComputeCapability) NOTHING(cuDeviceGetName)
NOTHING(cuDriverGetVersion)
NOTHING(cuDevicePrimaryCtxRetain) NOTHING(cuMemcpy2D_v2) NOTHING(cuArray3DCreate_v2)
NOTHING(cuArrayCreate_v2) NOTHING(cuArrayDestroy) NOTHING(cuCtxDestroy_v2) NOTHING(cuCtxGetDevice)
NOTHING(cuCtxPushCurrent_v2) NOTHING(cuCtxSetLimit) NOTHING(cuDevicePrimaryCtxGetState)
NOTHING(cuDevicePrimaryCtxRelease) NOTHING(cuDevicePrimaryCtxReset)
NOTHING(cuDevicePrimaryCtxSetFlags) NOTHING(cuEventCreate) NOTHING(cuEventDestroy_v2)
NOTHING(cuEventQuery) NOTHING(cuEventRecord) NOTHING(cuEventSynchronize) NOTHING(cuGLGetDevices_v2)
NOTHING(cuGraphicsGLRegisterImage) NOTHING(cuGraphicsMapResources)
NOTHING(cuGraphicsResourceGetMappedPointer_v2) NOTHING(cuGraphicsSubResourceGetMappedArray)
NOTHING(cuGraphicsUnmapResources) NOTHING(cuGraphicsUnregisterResource) NOTHING(cuInit)
NOTHING(cuLaunchKernel) NOTHING(cuLinkAddData) NOTHING(cuLinkComplete) NOTHING(cuLinkCreate)
NOTHING(cuLinkDestroy) NOTHING(cuMemAllocManaged) NOTHING(cuMemAllocPitch_v2) NOTHING(cuMemcpy)
NOTHING(cuMemcpyAsync) NOTHING(cuMemcpyDtoDAsync_v2) NOTHING(cuMemcpyDtoD_v2)
NOTHING(cuMemcpyDtoHAsync_v2) NOTHING(cuMemcpyDtoH_v2) NOTHING(cuMemcpyHtoDAsync_v2)
NOTHING(cuMemcpyHtoD_v2) NOTHING(cuMemsetD8Async) NOTHING(cuModuleGetFunction)
NOTHING(cuModuleGetGlobal) NOTHING(cuModuleLoadData) NOTHING(cuModuleUnload)
NOTHING(cuStreamAddCallback) NOTHING(cuStreamCreate) NOTHING(cuStreamDestroy_v2)
NOTHING(cuStreamQuery) NOTHING(cuStreamSynchronize) NOTHING(cuStreamWaitEvent)
NOTHING(cuTexObjectCreate) NOTHING(cuTexObjectDestroy) NOTHING(cuvidCreateVideoParser)
NOTHING(cuvidCreateVideoSource) NOTHING(cuvidCreateVideoSourceW) NOTHING(cuvidCtxLock)
NOTHING(cuvidCtxLockCreate) NOTHING(cuvidCtxLockDestroy) NOTHING(cuvidCtxUnlock)
NOTHING(cuvidDecodePicture) NOTHING(cuvidDestroyDecoder) NOTHING(cuvidDestroyVideoParser)
NOTHING(cuvidDestroyVideoSource) NOTHING(cuvidGetDecodeStatus) NOTHING(cuvidGetSourceAudioFormat)
NOTHING(cuvidGetSourceVideoFormat) NOTHING(cuvidGetVideoSourceState) NOTHING(cuvidParseVideoData)
NOTHING(cuvidReconfigureDecoder) NOTHING(cuvidSetVideoSourceState) NOTHING(cuvidUnmapVideoFrame64)
