package imagefolder

const Marker = "GENERATED.txt"
