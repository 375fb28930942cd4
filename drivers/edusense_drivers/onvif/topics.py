"""Our words for what cameras tell: topics of ONVIF and of makers, read without prefixes and odd ends.

Topics: ONVIF topic namespace, Imaging and Device Management specifications; makers' own as onvif-parsers 2.5.0 lists
them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["kind_of", "plain"]

_KINDS: Final = {
    "RuleEngine/CellMotionDetector/Motion": "motion",
    "RuleEngine/MotionRegionDetector/Motion": "motion",
    "VideoSource/MotionAlarm": "motion",
    "VideoAnalytics/Motion": "motion",
    "RuleEngine/CellMotionDetector/People": "person",
    "RuleEngine/MyRuleDetector/PeopleDetect": "person",
    "RuleEngine/PeopleDetector/People": "person",
    "RuleEngine/MyRuleDetector/FaceDetect": "face",
    "RuleEngine/MyRuleDetector/VehicleDetect": "vehicle",
    "RuleEngine/MyRuleDetector/DogCatDetect": "animal",
    "RuleEngine/MyRuleDetector/Package": "package",
    "RuleEngine/MyRuleDetector/Visitor": "doorbell",
    "RuleEngine/CellMotionDetector/Tamper": "tamper",
    "RuleEngine/TamperDetector/Tamper": "tamper",
    "RuleEngine/CellMotionDetector/Intrusion": "intrusion",
    "RuleEngine/FieldDetector/ObjectsInside": "intrusion",
    "RuleEngine/CellMotionDetector/LineCross": "line-crossed",
    "RuleEngine/LineDetector/Crossed": "line-crossed",
    "RuleEngine/CellMotionDetector/TpSmartEvent": "smart",
    "VideoSource/SignalLoss": "signal-lost",
    "AudioAnalytics/Audio/DetectedSound": "sound",
    "AudioSource/MotionAlarm": "sound",
    "Device/Trigger/DigitalInput": "digital-input",
    "Device/Trigger/Relay": "relay",
    "Device/HardwareFailure/StorageFailure": "storage-failure",
    "Device/HardwareFailure/FanFailure": "hardware-failure",
    "Device/HardwareFailure/PowerSupplyFailure": "hardware-failure",
    "Device/HardwareFailure/TemperatureCritical": "hardware-failure",
    "Monitoring/ProcessorUsage": "load",
    "Monitoring/OperatingTime/LastReboot": "restart",
    "Monitoring/OperatingTime/LastReset": "reset",
    "Monitoring/OperatingTime/LastClockSynchronization": "clock",
    "Monitoring/Backup/Last": "backup",
    "RecordingConfig/JobState": "recording",
}
_BEGINNINGS: Final = (
    ("VideoSource/GlobalSceneChange", "tamper"),
    ("VideoSource/ImageTooDark", "too-dark"),
    ("VideoSource/ImageTooBright", "too-bright"),
    ("VideoSource/ImageTooBlurry", "blurred"),
)


def plain(topic: str) -> str:
    """A topic without prefixes and without what some cameras put behind it.

    >>> plain("tns1:RuleEngine/tnsx:CellMotionDetector/Motion//.")
    'RuleEngine/CellMotionDetector/Motion'
    """
    return "/".join(part.rpartition(":")[2] for part in topic.strip().rstrip("/.").split("/") if part)[:200]


def kind_of(topic: str) -> str | None:
    """Our word for a plain topic; None where we have none."""
    return _KINDS.get(topic) or next((kind for head, kind in _BEGINNINGS if topic.startswith(head)), None)
